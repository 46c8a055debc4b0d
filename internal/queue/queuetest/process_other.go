//go:build !linux

package queuetest

import "syscall"

// processAttributes gives a child its own process group. Only Linux can end it with its parent.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
