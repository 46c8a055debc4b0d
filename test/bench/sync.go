package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// syncCount is how many appends are measured in a round: a second's worth on a slow disk.
const syncCount = 500

// measureSyncs measures what the disk itself takes: 1 KiB appended to a plain file, and then fdatasync, again and again.
func (b *bench) measureSyncs() (err error) {
	file, err := os.Create(filepath.Join(b.dir, "fdatasync"))
	if err != nil {
		return fmt.Errorf("measuring fdatasync: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	body := jsonBody(anyNumber)
	latencies := make([]time.Duration, 0, syncCount)
	for range syncCount {
		start := time.Now()
		if _, err := file.Write(body); err != nil {
			return fmt.Errorf("measuring fdatasync: %w", err)
		}
		if err := fdatasync(file); err != nil {
			return fmt.Errorf("measuring fdatasync: %w", err)
		}
		latencies = append(latencies, time.Since(start))
	}
	slices.Sort(latencies)
	b.results.add("fdatasync.p50", unitMilliseconds, milliseconds(percentile(latencies, 50)))
	return nil
}
