package queuetest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// process is a child that on Linux is killed when this process ends, however that ends.
type process struct {
	command *exec.Cmd
	done    chan struct{} // closed when it has ended
}

// launch starts a program that appends both its outputs to a log file.
func launch(logFile, path string, arguments ...string) (*process, error) {
	output, err := os.OpenFile(logFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening its log: %w", err)
	}
	defer func() { _ = output.Close() }()
	p := &process{command: exec.Command(path, arguments...), done: make(chan struct{})}
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
			_ = p.command.Wait() // outcome tells
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

// outcome tells how the process ended, once it has.
func (p *process) outcome() string { return p.command.ProcessState.String() }

// kill ends the process, paused or not, and waits until it is gone.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// signal does nothing when the process has ended.
func (p *process) signal(signal syscall.Signal) { _ = p.command.Process.Signal(signal) }
