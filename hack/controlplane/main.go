// Command controlplane builds the binaries of a Kubernetes control plane from the Go modules that go.mod of this directory
// pins, once, into a cache outside the work tree, and prints the directory that holds them:
//
//	go run -C hack/controlplane . [binary ...]
//
// Without arguments it builds all of them. With KUBEBUILDER_ASSETS set it builds nothing and prints that directory.
// Progress goes to stderr, so that a shell may take stdout as it is.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// binary is one thing to build.
type binary struct {
	name   string
	source string // its main package
	stamp  bool   // whether it tells its version, for which the linker writes that of kubernetesModule into it
}

// binaries are all that can be built.
var binaries = []binary{
	{name: "etcd", source: "go.etcd.io/etcd/server/v3"},
	{name: "kube-apiserver", source: "k8s.io/kubernetes/cmd/kube-apiserver", stamp: true},
	{name: "kubectl", source: "k8s.io/kubernetes/cmd/kubectl", stamp: true},
	{name: "kube-controller-manager", source: "k8s.io/kubernetes/cmd/kube-controller-manager", stamp: true},
}

const (
	kubernetesModule = "k8s.io/kubernetes"
	versionVariable  = "k8s.io/component-base/version.gitVersion"
	linkerFlags      = "-s -w"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

// run makes sure that the named binaries are there and returns their directory.
func run(ctx context.Context, names []string) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return filepath.Abs(dir)
	}
	wanted, err := choose(names)
	if err != nil {
		return "", err
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	if len(missing(dir, wanted)) == 0 {
		return dir, nil
	}
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	return dir, buildAll(ctx, dir, missing(dir, wanted))
}

// choose returns the named binaries, or all if none is named.
func choose(names []string) ([]binary, error) {
	if len(names) == 0 {
		return binaries, nil
	}
	var chosen []binary
	for _, name := range names {
		i := slices.IndexFunc(binaries, func(b binary) bool { return b.name == name })
		if i < 0 {
			return nil, fmt.Errorf("unknown binary %q", name)
		}
		chosen = append(chosen, binaries[i])
	}
	return chosen, nil
}

// cacheDir returns where the binaries of these module versions, built by this Go for this platform, are kept.
func cacheDir() (string, error) {
	hash := sha256.New()
	fmt.Fprintln(hash, runtime.Version(), runtime.GOOS, runtime.GOARCH, linkerFlags)
	for _, file := range []string{"go.mod", "go.sum"} {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("reading the pinned modules (run with -C hack/controlplane): %w", err)
		}
		hash.Write(content)
	}
	root := os.Getenv("HOOKSTORM_CACHE")
	if root == "" {
		cache, err := userCacheDir()
		if err != nil {
			return "", err
		}
		root = filepath.Join(cache, "hookstorm")
	}
	return filepath.Abs(filepath.Join(root, "controlplane", fmt.Sprintf("%.8x", hash.Sum(nil))))
}

// userCacheDir is $XDG_CACHE_HOME or ~/.cache on every platform, so that one sentence of documentation is true everywhere.
func userCacheDir() (string, error) {
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache directory (set HOOKSTORM_CACHE): %w", err)
	}
	return filepath.Join(home, ".cache"), nil
}

// missing returns those of the binaries that dir lacks. A binary that is there is whole, because it got its name last.
func missing(dir string, wanted []binary) []binary {
	return slices.DeleteFunc(slices.Clone(wanted), func(b binary) bool {
		_, err := os.Stat(filepath.Join(dir, b.name))
		return err == nil
	})
}

// lock makes dir and waits until no other run builds into it. The lock ends with the process, however that ends.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the cache: %w", err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		fmt.Fprintln(os.Stderr, "Waiting for another run that builds the control plane ...")
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking the cache: %w", err), file.Close())
	}
	return func() { _ = file.Close() }, nil
}

// buildAll builds the binaries into dir, one after the other: each build already uses every processor.
func buildAll(ctx context.Context, dir string, wanted []binary) error {
	if len(wanted) == 0 {
		return nil
	}
	version, err := goOutput(ctx, "list", "-m", "-f", "{{.Version}}", kubernetesModule)
	if err != nil {
		return fmt.Errorf("reading the version of Kubernetes: %w", err)
	}
	fmt.Fprintf(os.Stderr, "Building a control plane (Kubernetes %s) into %s: some minutes, once.\n", version, dir)
	for i, b := range wanted {
		done := showProgress(fmt.Sprintf("[%d/%d] %s", i+1, len(wanted), b.name))
		err := build(ctx, dir, b, version)
		done(err)
		if err != nil {
			return fmt.Errorf("building %s: %w", b.name, err)
		}
	}
	return nil
}

// build builds one binary under another name and renames it, so that an interrupted build leaves nothing that looks done.
func build(ctx context.Context, dir string, b binary, version string) error {
	flags := linkerFlags
	if b.stamp {
		flags += fmt.Sprintf(" -X %s=%s", versionVariable, version)
	}
	partial := filepath.Join(dir, b.name+".partial")
	if _, err := goOutput(ctx, "build", "-trimpath", "-ldflags", flags, "-o", partial, b.source); err != nil {
		return err
	}
	return os.Rename(partial, filepath.Join(dir, b.name))
}

// goOutput runs go and returns what it prints, without white space around it.
func goOutput(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", arguments...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	switch {
	case ctx.Err() != nil:
		return "", errors.New("interrupted")
	case err != nil:
		return "", fmt.Errorf("go %s: %w\n%s", arguments[0], err, stderr.String())
	}
	return strings.TrimSpace(string(output)), nil
}

// showProgress says that something began and, on a terminal, how long it has been going on; the returned function says
// how it ended.
func showProgress(subject string) (done func(error)) {
	start := time.Now()
	elapsed := func() time.Duration { return time.Since(start).Round(time.Second) }
	lineStart, lineEnd := "", "\n"
	ticks := make(<-chan time.Time)
	if terminal(os.Stderr) {
		ticker := time.NewTicker(time.Second)
		lineStart, lineEnd, ticks = "\r\033[K", "", ticker.C
	}
	fmt.Fprintf(os.Stderr, "%s ...%s", subject, lineEnd)

	ended, shown := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(shown)
		for {
			select {
			case <-ticks:
				fmt.Fprintf(os.Stderr, "%s%s ... %s", lineStart, subject, elapsed())
			case <-ended:
				return
			}
		}
	}()
	return func(err error) {
		close(ended)
		<-shown
		outcome := "built"
		if err != nil {
			outcome = "not built"
		}
		fmt.Fprintf(os.Stderr, "%s%s %s in %s\n", lineStart, subject, outcome, elapsed())
	}
}

// terminal reports whether a person may be watching.
func terminal(file *os.File) bool {
	stat, err := file.Stat()
	return err == nil && stat.Mode()&os.ModeCharDevice != 0
}
