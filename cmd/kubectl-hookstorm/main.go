// Command kubectl-hookstorm is kubectl's plug-in for HookStorm: it tests Rules against payloads, and converts StackStorm's
// rules.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// The exit codes. What codeNo means depends on the command.
const (
	codeYes   = 0
	codeNo    = 1
	codeError = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr})
	stop()
	os.Exit(code)
}

// errNo is what a command returns that worked and whose answer is no.
var errNo = errors.New("the answer is no")

// run runs a command line and returns its exit code.
func run(ctx context.Context, args []string, streams genericiooptions.IOStreams) int {
	root := newRoot(streams)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return codeYes
	case errors.Is(err, errNo):
		return codeNo
	default:
		fmt.Fprintln(streams.ErrOut, "error:", err)
		return codeError
	}
}

func newRoot(streams genericiooptions.IOStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl hookstorm",
		Short:         "Test HookStorm's Rules, and convert StackStorm's",
		SilenceErrors: true,
		SilenceUsage:  true,
		// kubectl-hookstorm is how kubectl finds the plug-in, and not what is typed.
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl hookstorm"},
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.ErrOut)
	root.AddCommand(newTest(streams), newConvert(streams))
	return root
}
