package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

// readyTime is how long HookStorm may take to be ready, with what it finds in its queue.
const readyTime = time.Minute

// server is a HookStorm on a data directory of its own. Each start is on another port: the old one may be a client's by then.
type server struct {
	kubeconfig, dataDir string
	flags               []string // of all starts
	log                 string   // a file; all starts write to it
	pid                 string   // a file with the process id

	address string // where senders post
	metrics string // where metrics are served
	process *cluster.Process
}

// newServer returns a HookStorm with its files in a directory. It reaches the API server as a kubeconfig says. The flags are
// those of each start, beside the usual ones.
func newServer(kubeconfig, dir string, flags ...string) *server {
	return &server{
		kubeconfig: kubeconfig, dataDir: filepath.Join(dir, "data"), flags: flags,
		log: filepath.Join(dir, "log"), pid: filepath.Join(dir, "pid"),
	}
}

// tellPID is a shell command that writes its process id to a file, and becomes what its other arguments say.
const tellPID = `echo $$ >"$0" && exec "$@"`

// arguments are the flags of a start.
func (s *server) arguments(address, health string) []string {
	return []string{
		"--kubeconfig=" + s.kubeconfig,
		"--webhook-bind-address=" + address,
		"--health-probe-bind-address=" + health,
		"--metrics-bind-address=0",
		"--data-dir=" + s.dataDir,
		"--system-namespace=" + systemNamespace,
		"--outbound-allow=127.0.0.1", // where the targets of http actions are
	}
}

// Start starts HookStorm and returns when it is ready.
func (s *server) Start(ctx context.Context, flags ...string) {
	GinkgoHelper()
	health := freeAddress()
	s.address, s.metrics = freeAddress(), freeAddress()
	output, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	Expect(err).NotTo(HaveOccurred())
	defer output.Close()
	arguments := slices.Concat([]string{"-c", tellPID, s.pid, binary}, s.arguments(s.address, health), []string{"--metrics-bind-address=" + s.metrics}, s.flags, flags)
	s.process, err = cluster.Launch("hookstorm", output, "/bin/sh", arguments...)
	Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	Expect(s.process.WaitReady(ctx, "http://"+health+"/readyz")).To(Succeed())
}

// Running reports whether the process has not ended.
func (s *server) Running() bool {
	select {
	case <-s.process.Done():
		return false
	default:
		return true
	}
}

// Kill ends the process with SIGKILL.
func (s *server) Kill() { s.process.Kill() }

// Quit ends the process with SIGQUIT, which has it write all its goroutines to the log.
func (s *server) Quit(ctx context.Context) {
	GinkgoHelper()
	text, err := os.ReadFile(s.pid)
	Expect(err).NotTo(HaveOccurred())
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	Expect(err).NotTo(HaveOccurred())
	Expect(syscall.Kill(pid, syscall.SIGQUIT)).To(Succeed())
	Eventually(ctx, s.process.Done()).Should(BeClosed())
}

// Stop ends the process with SIGTERM, and expects that it exits with 0.
func (s *server) Stop() {
	GinkgoHelper()
	if !s.Running() {
		return
	}
	Expect(s.process.Stop()).To(Succeed())
	Expect(s.process.Outcome()).To(Equal("exit status 0"))
}

// URL returns the address of a path.
func (s *server) URL(path string) string { return "http://" + s.address + path }

// Log returns what was written to the log since the mark of an earlier call, and the next mark.
func (s *server) Log(mark int) (string, int) {
	GinkgoHelper()
	log, err := os.ReadFile(s.log)
	Expect(err).NotTo(HaveOccurred())
	return string(log[mark:]), len(log)
}

func freeAddress() string {
	GinkgoHelper()
	address, err := cluster.FreeAddress()
	Expect(err).NotTo(HaveOccurred())
	return address
}

// ExpectRefusesToStart starts another HookStorm, and expects that it ends with one line that says why.
func ExpectRefusesToStart(ctx context.Context, arguments []string, why string) {
	GinkgoHelper()
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	var output bytes.Buffer
	command := exec.CommandContext(ctx, binary, arguments...)
	command.Stdout, command.Stderr = &output, &output
	err := command.Run()
	Expect(ctx.Err()).NotTo(HaveOccurred(), "it did not end")
	var exit *exec.ExitError
	Expect(errors.As(err, &exit)).To(BeTrue(), "it ended with %v", err)
	Expect(exit.ExitCode()).To(Equal(1))
	Expect(strings.Split(strings.TrimSpace(output.String()), "\n")).To(HaveExactElements(
		And(HavePrefix("hookstorm: "), ContainSubstring(why))))
}
