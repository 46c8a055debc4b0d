// Command run is "make run": it starts a control plane, or takes the cluster that KUBECONFIG names, applies config/local,
// runs bin/hookstorm against it and says what to try. What it keeps is in .run; Ctrl-C stops everything it started.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

const (
	// webhookAddress is where StackStorm's own examples post to.
	webhookAddress  = "127.0.0.1:9101"
	systemNamespace = "hookstorm-system"
	serviceAccount  = "hookstorm"
	managerBinary   = "bin/hookstorm"
	stateDir        = ".run"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "make run:", err)
		os.Exit(1)
	}
}

// run holds the checks that must pass before anything is started, and the order of start and stop.
func run() (err error) {
	root, err := cluster.Root()
	if err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("entering the module's root: %w", err)
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := checkFree(webhookAddress); err != nil {
		return err
	}

	ctx, release := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer release()
	context.AfterFunc(ctx, release) // a second Ctrl-C ends this process at once, and the kernel ends its children

	r := &runner{}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.start(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	r.sayWhatToTry(os.Stdout)
	return r.wait(ctx)
}

// unlessStopped drops an error whose cause is that somebody stopped the run.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// lock makes the state directory this process's own, until it ends.
func lock() (unlock func(), err error) {
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, fmt.Errorf("making %s: %w", stateDir, err)
	}
	file, err := os.OpenFile(filepath.Join(stateDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", stateDir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		holder, _ := io.ReadAll(file)
		_ = file.Close()
		return nil, fmt.Errorf("it runs already, as process %s: stop that one first", strings.TrimSpace(string(holder)))
	}
	if err := errors.Join(file.Truncate(0), writePID(file)); err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", stateDir, err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// writePID tells whoever finds the lock taken by whom.
func writePID(file *os.File) error {
	_, err := fmt.Fprintln(file, os.Getpid())
	return err
}

// checkFree returns an error if somebody listens on the address.
func checkFree(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("HookStorm needs %s, where another process listens: %w", address, err)
	}
	return listener.Close()
}
