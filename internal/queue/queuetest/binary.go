package queuetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// serverPackage is the server's command, of the version that go.mod pins.
const serverPackage = "github.com/nats-io/nats-server/v2"

// build returns the path of the server's binary and builds it when the one of an earlier run is not up to date.
var build = sync.OnceValues(func() (binary string, err error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache of nats-server: %w", err)
	}
	lock := flock.New(filepath.Join(dir, ".lock")) // the tests of other packages build it too
	if err := lock.Lock(); err != nil {
		return "", fmt.Errorf("locking the cache of nats-server: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	binary = filepath.Join(dir, "nats-server")
	if output, err := exec.Command("go", "build", "-o", binary, serverPackage).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building nats-server: %w\n%s", err, output)
	}
	return binary, nil
})

// cacheDir returns where the binary is kept: beside the control plane's.
func cacheDir() (string, error) {
	root := os.Getenv("HOOKSTORM_CACHE")
	if root == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("finding a cache directory (set HOOKSTORM_CACHE): %w", err)
		}
		root = filepath.Join(cache, "hookstorm")
	}
	return filepath.Abs(filepath.Join(root, "nats-server"))
}
