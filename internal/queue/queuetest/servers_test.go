package queuetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hookstorm/hookstorm/internal/queue/queuetest"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

// open connects to the servers and makes a stream on all of them.
func open(t *testing.T, s *queuetest.Servers, replicas int, options ...nats.Option) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	conn, err := nats.Connect(s.URL(), append(options,
		nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond),
		nats.PingInterval(time.Second), // finds a paused server
	)...)
	if err != nil {
		t.Fatalf("connecting: %v", err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatalf("opening JetStream: %v", err)
	}
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "TEST", Subjects: []string{"test"}, Replicas: replicas,
		Placement: &jetstream.Placement{Tags: []string{"sync:always"}},
	})
	if err != nil {
		t.Fatalf("making the stream: %v", err)
	}
	return js, stream
}

// eventually tries until it succeeds: each election is a while without a leader.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		attempt, cancel := context.WithTimeout(ctx, time.Second)
		err := try(attempt)
		cancel()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// publish publishes until it is acknowledged, and returns the number of the message.
func publish(t *testing.T, js jetstream.JetStream, text string) (sequence uint64) {
	t.Helper()
	eventually(t, "publishing", func(ctx context.Context) error {
		ack, err := js.Publish(ctx, "test", []byte(text))
		if err == nil {
			sequence = ack.Sequence
		}
		return err
	})
	return sequence
}

// expectMessage fails the test when the stream does not hold the message.
func expectMessage(t *testing.T, stream jetstream.Stream, sequence uint64, text string) {
	t.Helper()
	var message *jetstream.RawStreamMsg
	eventually(t, "reading", func(ctx context.Context) (err error) {
		message, err = stream.GetMsg(ctx, sequence)
		return err
	})
	if got := string(message.Data); got != text {
		t.Errorf("message %d is %q, want %q", sequence, got, text)
	}
}

func TestAClusterOutlivesAServer(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{Servers: 3})
	js, stream := open(t, s, 3)
	first := publish(t, js, "first")

	leader := s.Index(stream.CachedInfo().Cluster.Leader)
	s.Kill(leader)
	second := publish(t, js, "second")
	s.Start(leader)
	s.Ready()

	s.Pause((leader + 1) % 3)
	third := publish(t, js, "third")
	s.Resume((leader + 1) % 3)
	s.Ready()

	s.KillAll()
	s.StartAll()
	expectMessage(t, stream, first, "first")
	expectMessage(t, stream, second, "second")
	expectMessage(t, stream, third, "third")
}

func TestAServerKeepsItsDataAndItsAddress(t *testing.T) {
	s := queuetest.Start(t, queuetest.Options{User: "hookstorm", Password: "secret"})
	if conn, err := nats.Connect(s.URLOf(0)); err == nil {
		conn.Close()
		t.Error("connected without a password")
	}
	js, stream := open(t, s, 1, nats.UserInfo("hookstorm", "secret"))
	sequence := publish(t, js, "text")
	s.Kill(0)
	s.StartAll()
	expectMessage(t, stream, sequence, "text")
}
