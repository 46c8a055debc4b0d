// Command bench measures what an acknowledgement of HookStorm costs, beside servers that do less of the same work; what a
// Rule's evaluation costs, beside a bare CEL program; what each authenticator costs, beside none, and whether the time of a
// 401 tells which webhooks there are; how fast deliveries are recorded, beside plain creates; how soon an action is done,
// beside targets that hang; and how soon a Rule is live. It prints a table and writes bench.json in the working directory.
//
// Every server runs in a process of its own, on an empty data directory, on this machine; the plain ones are this program,
// started with "serve". Only the webhook server whose authentication is measured is in this process, and stores nothing.
// All get the same requests from the same clients, each of which sends the next request when it has the answer to the last
// (closed loop, keep-alive). What is measured is repeated in rounds, and medians are reported, so that a change of the
// machine's mood hits all servers alike. The control plane runs only beside the servers that need it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

const (
	resultFile = "bench.json"
	// stateDir is on the disk of the module: a temporary directory is often in memory, where fsync costs nothing.
	stateDir = ".run"
)

// options are what the flags say.
type options struct {
	binary   string
	rounds   int
	duration time.Duration
	only     string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	if len(arguments) > 0 && arguments[0] == serveCommand {
		return serve(ctx, arguments[1:])
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "bin/hookstorm", "the program that is measured")
	flags.IntVar(&o.rounds, "rounds", 3, "how often everything is measured; medians are reported")
	flags.DurationVar(&o.duration, "duration", 2500*time.Millisecond, "how long a server is measured in each round")
	flags.StringVar(&o.only, "only", "", "a regular expression for the names of what is measured; empty: everything")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	return measureAll(ctx, o)
}

// measureAll measures in a directory of its own, and reports.
func measureAll(ctx context.Context, o options) (err error) {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	log.SetLogger(logr.Discard()) // of the Kubernetes client, which has nothing to say
	state := filepath.Join(root, stateDir)
	if err := os.MkdirAll(state, 0o700); err != nil {
		return fmt.Errorf("making %s: %w", state, err)
	}
	dir, err := os.MkdirTemp(state, "bench-")
	if err != nil {
		return fmt.Errorf("making the directory for data: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	b, err := newBench(o, dir)
	if err != nil {
		return err
	}
	if err := b.run(ctx); err != nil {
		return err
	}
	results := b.results.medians()
	printTable(os.Stdout, results)
	printRatios(os.Stdout, results)
	return writeResults(resultFile, results)
}
