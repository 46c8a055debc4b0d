package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	natsserver "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	subject = "in"
	// startTimeout is for an empty directory.
	startTimeout = 10 * time.Second
	maxPayload   = 8 << 20
)

// embedded is a JetStream server in this process, which fsyncs each message before it acknowledges it, with one stream.
type embedded struct {
	server *natsserver.Server
	conn   *nats.Conn
	jetstream.JetStream
}

func openEmbedded(ctx context.Context, dir string) (*embedded, error) {
	s, err := natsserver.NewServer(&natsserver.Options{
		DontListen: true,
		NoSigs:     true,
		NoLog:      true,
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: true,
		MaxPayload: maxPayload,
	})
	if err != nil {
		return nil, fmt.Errorf("making the NATS server: %w", err)
	}
	s.Start()
	e := &embedded{server: s}
	if err := e.open(ctx); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *embedded) open(ctx context.Context) (err error) {
	if !e.server.ReadyForConnections(startTimeout) {
		return errors.New("starting the NATS server: not ready")
	}
	if e.conn, err = nats.Connect("", nats.InProcessServer(e.server)); err != nil {
		return fmt.Errorf("connecting to the NATS server: %w", err)
	}
	if e.JetStream, err = jetstream.New(e.conn); err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	_, err = e.CreateStream(ctx, jetstream.StreamConfig{
		Name: "BENCH", Subjects: []string{subject}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
	})
	if err != nil {
		return fmt.Errorf("making the stream: %w", err)
	}
	return nil
}

// store returns once the message is on disk.
func (e *embedded) store(ctx context.Context, message []byte) error {
	_, err := e.Publish(ctx, subject, message)
	return err
}

func (e *embedded) close() {
	if e.conn != nil {
		e.conn.Close()
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// singleStore stores each body by a message of its own.
type singleStore struct{ *embedded }

func openSingle(ctx context.Context, dir string) (store, error) {
	e, err := openEmbedded(ctx, dir)
	if err != nil {
		return nil, err
	}
	return singleStore{e}, nil
}

func (s singleStore) put(ctx context.Context, body []byte) error { return s.store(ctx, body) }
