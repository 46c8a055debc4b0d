package queue

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// storeFactor and storeSlack say what the server may store: it sets aside for each stream as much as that may ever hold
	// (see openStreams), although all of them together hold hardly more than MaxBytes (see shares).
	storeFactor = 4
	storeSlack  = 1 << 30
	// maxMemory bounds memory streams; there are none, but the server would reserve most of the machine's memory.
	maxMemory = 64 << 20
)

// startServer starts a server that listens nowhere and fsyncs each message before it acknowledges it.
func (e *engine) startServer(o Options) error {
	s, err := server.NewServer(&server.Options{
		ServerName:         "hookstorm",
		DontListen:         true,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           filepath.Join(o.Dir, storeDir),
		SyncAlways:         true,
		MaxPayload:         maxPayload,
		JetStreamMaxStore:  storeFactor*e.maxBytes + storeSlack,
		JetStreamMaxMemory: maxMemory,
	})
	if err != nil {
		return fmt.Errorf("making the NATS server: %w", err)
	}
	log := &serverLog{log: o.Log.WithName("nats")}
	s.SetLoggerV2(log, false, false, false)
	e.server = s
	s.Start()
	if !s.ReadyForConnections(startTime) || !s.JetStreamEnabled() {
		return fmt.Errorf("starting the NATS server: not ready: %s", log.lastError())
	}
	if !s.JetStreamConfig().SyncAlways {
		return errors.New("starting the NATS server: it would acknowledge what is not on disk")
	}
	return nil
}
