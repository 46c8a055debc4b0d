//go:build !linux

package main

import "os"

// fdatasync is fsync where there is nothing less.
func fdatasync(file *os.File) error { return file.Sync() }
