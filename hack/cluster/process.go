package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a process may take to end by itself, as in the manifest of the StatefulSet.
	stopGrace = time.Minute
	// readyPoll is short beside the second or more that each of the processes needs to start.
	readyPoll = 200 * time.Millisecond
)

// Process is a child in a process group of its own, so that Ctrl-C on the terminal does not reach it before its turn. On
// Linux it is killed when this process ends, however that ends.
type Process struct {
	// Name is what people know it by.
	Name string

	command *exec.Cmd
	done    chan struct{}
}

// Launch starts a program that writes both its outputs to output.
func Launch(name string, output *os.File, path string, arguments ...string) (*Process, error) {
	p := &Process{Name: name, command: exec.Command(path, arguments...), done: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = output, output
	p.command.SysProcAttr = processAttributes()

	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread ends that forked, so that thread stays as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.command.Start()
		started <- err
		if err == nil {
			_ = p.command.Wait() // Outcome tells
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	return p, nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Outcome tells how the process ended, such as "exit status 1". It may be called once Done is closed.
func (p *Process) Outcome() string { return p.command.ProcessState.String() }

// WaitReady returns when url answers 200, or with an error when the process or ctx has ended before.
func (p *Process) WaitReady(ctx context.Context, url string) error {
	// Whether the server is up does not depend on who signed its certificate.
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 2 * time.Second}

	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		if answer, err := client.Get(url); err == nil {
			_ = answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %s", p.Name, p.Outcome())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", p.Name, ctx.Err())
		case <-ticker.C:
		}
	}
}

// Stop asks the process to end, waits for it, and kills it after a minute, which is an error. It may be called again.
func (p *Process) Stop() error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(stopGrace):
		p.Kill()
		return fmt.Errorf("stopping %s: killed after %s", p.Name, stopGrace)
	}
}

// Kill ends the process at once (kill -9) and waits until it is gone.
func (p *Process) Kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal reaches the process and its children. It spares a process that has ended, whose id may be another's by now.
func (p *Process) signal(signal syscall.Signal) {
	select {
	case <-p.done:
	default:
		_ = syscall.Kill(-p.command.Process.Pid, signal)
	}
}
