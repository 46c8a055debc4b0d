package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// asideConfig describes the stream of what cannot be decoded, on a cluster. Nothing is removed from it but by people.
func (e *engine) asideConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:     e.layout.stream(asideStream),
		Subjects: []string{e.layout.subject(asidePrefix) + "*.*"},
		Discard:  jetstream.DiscardNew,
		MaxBytes: e.maxBytes / deadFraction,
	}
}

// moveAside keeps the content of a message that cannot be decoded, in a file of its own or in the stream for it, and returns
// where. When it returns, that is on disk.
func (q *Queue) moveAside(stream string, seq uint64, content []byte) (string, error) {
	if q.engine.shared() {
		return q.moveToStream(stream, seq, content)
	}
	dir := filepath.Join(q.dir, undecodableDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%d-%d.pack", seq, time.Now().UnixNano()))
	if err := writeSynced(path, content); err != nil {
		return "", err
	}
	return path, errors.Join(syncDir(dir), syncDir(q.dir))
}

// moveToStream keeps the content in the stream.
func (q *Queue) moveToStream(stream string, seq uint64, content []byte) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTime)
	defer cancel()
	subject := fmt.Sprintf("%s%s.%d", q.engine.layout.subject(asidePrefix), stream, seq)
	if _, err := q.engine.js.Publish(ctx, subject, content); err != nil {
		return "", fmt.Errorf("storing as %s: %w", subject, err)
	}
	return subject, nil
}
