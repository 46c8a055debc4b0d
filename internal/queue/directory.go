package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/gofrs/flock"
)

// The parts of the data directory.
const (
	lockFile       = "LOCK"
	storeDir       = "store"       // the server's
	undecodableDir = "undecodable" // packs that cannot be decoded, one a file
)

// lockDir makes dir and takes its lock: two servers on one directory would lose what they acknowledged, and the server
// itself takes no lock. The lock ends with the process, however that ends.
func lockDir(dir string) (*flock.Flock, error) {
	if dir == "" {
		return nil, errors.New("opening the queue: a data directory is required")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the queue's directory: %w", err)
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	locked, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking the queue's directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: another process has %s open; stop it, or give each process a data directory of its own",
			ErrLocked, dir)
	}
	return lock, nil
}

const (
	// preferredMaxBytes is what a queue stores at most when nothing else is said and the disk has room.
	preferredMaxBytes = 6 << 30
	// diskPercent is the part of the disk's room that the default takes. Dead letters and what postponing overdraws may take
	// three eighths of MaxBytes beside it, and the server's own files and blocks which are partly processed some more.
	diskPercent = 60
)

// defaultMaxBytes is preferredMaxBytes, or diskPercent of the disk's room, counting what dir holds already.
func defaultMaxBytes(dir string) (int64, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("asking for free disk space: %w", err)
	}
	used, err := usedBytes(dir)
	if err != nil {
		return 0, fmt.Errorf("measuring the queue's directory: %w", err)
	}
	room := used + int64(disk.Bavail)*int64(disk.Bsize)
	return min(preferredMaxBytes, room/100*diskPercent), nil
}

// usedBytes is the size of all files under dir.
func usedBytes(dir string) (int64, error) {
	var used int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		used += info.Size()
		return nil
	})
	return used, err
}

// writeSynced writes a new file and fsyncs it.
func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncDir fsyncs a directory, so that new names in it survive a power loss.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
