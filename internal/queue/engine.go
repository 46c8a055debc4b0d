package queue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxPayload is the largest message; the server advises against more.
	maxPayload = 8 << 20
	// maxDelivery is the largest encoded delivery; the rest of maxPayload is for what the server adds.
	maxDelivery = maxPayload - 64<<10
	// startTime bounds the start of the server; it reads what is stored, which may be gigabytes.
	startTime = 60 * time.Second
	// storeFactor and storeSlack say what the server may store: it sets aside for each stream as much as that may ever hold
	// (see openStreams), although all of them together hold hardly more than MaxBytes (see shares).
	storeFactor = 4
	storeSlack  = 1 << 30
	// maxMemory bounds memory streams; there are none, but the server would reserve most of the machine's memory.
	maxMemory = 64 << 20
	// healthTime is how long the streams may take to say how they are; one cannot while a write hangs.
	healthTime = time.Second
)

// engine is the embedded server, the connections to it, the streams and the consumer of the first. Packs are read and
// acknowledged on a connection of their own: the server fits its buffer for a connection to what comes there, and small
// acknowledgements would have it take large packs in many pieces.
type engine struct {
	server   *server.Server
	conn     *nats.Conn
	js       jetstream.JetStream
	readConn *nats.Conn
	stream   jetstream.Stream // of packs
	consumer jetstream.Consumer
	retry    jetstream.Stream
	once     jetstream.Stream
	dead     jetstream.Stream
	maxBytes int64
	found    backlog // what the stream of packs held when it was opened
}

// openEngine starts the server in the data directory and opens the streams.
func openEngine(ctx context.Context, o Options) (*engine, error) {
	e := &engine{maxBytes: o.MaxBytes}
	if e.maxBytes == 0 {
		var err error
		if e.maxBytes, err = defaultMaxBytes(o.Dir); err != nil {
			return nil, err
		}
	}
	for _, step := range []func() error{
		func() error { return e.startServer(o) },
		e.connect,
		func() error { return e.openStreams(ctx) },
		func() error { return e.openConsumer(ctx, o.Log) },
		func() error { return e.findBacklog(ctx) },
	} {
		if err := step(); err != nil {
			e.close()
			return nil, err
		}
	}
	return e, nil
}

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

// connect opens the connections to the server inside the process.
func (e *engine) connect() error {
	for _, conn := range []**nats.Conn{&e.conn, &e.readConn} {
		var err error
		*conn, err = nats.Connect("", nats.InProcessServer(e.server), nats.MaxReconnects(-1))
		if err != nil {
			return fmt.Errorf("connecting to the NATS server: %w", err)
		}
	}
	var err error
	if e.js, err = jetstream.New(e.conn, jetstream.WithPublishAsyncTimeout(commitTime)); err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	return nil
}

// healthy asks the server and the streams how they are. It writes nothing: a stream that failed to write says so until the
// server is restarted, and one whose write hangs does not answer.
func (e *engine) healthy() error {
	if h := e.server.Healthz(nil); h.Error != "" {
		return fmt.Errorf("the queue's server is not healthy: %s", h.Error)
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTime)
	defer cancel()
	for _, stream := range []jetstream.Stream{e.stream, e.retry, e.once, e.dead} {
		if _, err := stream.Info(ctx); err != nil {
			return fmt.Errorf("the queue's stream %s does not answer: %w", stream.CachedInfo().Config.Name, err)
		}
	}
	if _, err := e.consumer.Info(ctx); err != nil {
		return fmt.Errorf("what is to be read does not come: %w", err)
	}
	return nil
}

// close stops what openEngine started, as far as it came.
func (e *engine) close() {
	for _, conn := range []*nats.Conn{e.readConn, e.conn} {
		if conn != nil {
			conn.Close()
		}
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
}
