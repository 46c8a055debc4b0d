package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// maxPayload is the largest message; the server advises against more.
	maxPayload = 8 << 20
	// messageSlack is the part of a message that is not for the delivery: progress, headers, and what the server adds.
	messageSlack = 64 << 10
	// maxDelivery is the largest encoded delivery.
	maxDelivery = maxPayload - messageSlack
	// startTime bounds the start of the server; it reads what is stored, which may be gigabytes.
	startTime = 60 * time.Second
	// healthTime is how long the streams may take to say how they are; one cannot while a write hangs.
	healthTime = time.Second
)

// engine is the connections to the server, which is embedded or one of a cluster, the streams, and the consumer of the first.
// Packs are read and acknowledged on a connection of their own: the server fits its buffer for a connection to what comes
// there, and small acknowledgements would have it take large packs in many pieces.
type engine struct {
	server   *server.Server // nil when the servers are a cluster, which other processes share
	layout   layout
	conn     *nats.Conn
	js       jetstream.JetStream
	readConn *nats.Conn
	stream   jetstream.Stream // of packs
	consumer jetstream.Consumer
	retry    jetstream.Stream
	once     jetstream.Stream
	dead     jetstream.Stream
	aside    jetstream.Stream   // only on a cluster
	lease    jetstream.KeyValue // only on a cluster
	maxBytes int64
	found    backlog // what the stream of packs held when it was opened

	reconnected chan struct{} // capacity 1; holds a token when a server is connected again
}

// openEngine starts the server in the data directory and opens the streams.
func openEngine(ctx context.Context, o Options) (*engine, error) {
	e := &engine{maxBytes: o.MaxBytes, layout: embeddedLayout}
	if e.maxBytes == 0 {
		var err error
		if e.maxBytes, err = defaultMaxBytes(o.Dir); err != nil {
			return nil, err
		}
	}
	return e, e.open(
		func() error { return e.startServer(o) },
		func() error { return e.connect("", nats.InProcessServer(e.server), nats.MaxReconnects(-1)) },
		func() error { return e.openStreams(ctx) },
		func() error { return e.openConsumer(ctx) },
		func() error { return e.resetConsumer(ctx, o.Log) },
		func() error { return e.findBacklog(ctx) },
	)
}

// open takes steps, and closes what they opened when one fails.
func (e *engine) open(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			e.close()
			return err
		}
	}
	return nil
}

// shared reports whether other processes use the streams, too.
func (e *engine) shared() bool { return e.layout.shared }

// publish sends a message, unless no server is connected.
func (e *engine) publish(m *nats.Msg, options ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	if err := e.away(); err != nil {
		return nil, err
	}
	return e.js.PublishMsgAsync(m, options...)
}

// healthy asks the server and the streams how they are. It writes nothing: a stream that failed to write says so until the
// server is restarted, and one whose write hangs does not answer.
func (e *engine) healthy() error {
	if !e.shared() {
		if h := e.server.Healthz(nil); h.Error != "" {
			return fmt.Errorf("the queue's server is not healthy: %s", h.Error)
		}
	}
	if err := e.away(); err != nil {
		return err
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

// close stops what was opened, as far as it came.
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
