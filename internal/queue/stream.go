package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	consumerName = "dispatch"
	// ackWait is after how long the server hands out again what is neither acknowledged nor reported to be in progress: the
	// packs of another process that is gone, and messages lost on the way from the server. What is held is reported every
	// progressInterval.
	ackWait = 20 * time.Second
)

// openStreams opens all streams. Those of work refuse what does not fit and never drop by themselves: what is processed is
// removed by the upkeep alone.
func (e *engine) openStreams(ctx context.Context) error {
	share := e.maxBytes / namespaceFraction
	streams := []struct {
		stream *jetstream.Stream
		config jetstream.StreamConfig
	}{
		{&e.stream, e.inboxConfig()},
		{&e.retry, e.shelfConfig(retryStream, retryPrefix, e.maxBytes+share)},
		{&e.once, e.shelfConfig(onceStream, oncePrefix, e.maxBytes)},
		{&e.dead, e.deadConfig()},
		{&e.aside, e.asideConfig()},
	}
	if !e.shared() {
		streams = streams[:len(streams)-1] // a directory takes its place
	}
	for _, s := range streams {
		var err error
		if *s.stream, err = e.openStream(ctx, s.config); err != nil {
			return err
		}
	}
	return nil
}

// inboxConfig describes the stream of packs.
func (e *engine) inboxConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:     e.layout.stream(inboxStream),
		Subjects: []string{e.layout.inboxSubjects()},
		Discard:  jetstream.DiscardNew,
		MaxBytes: e.maxBytes,
	}
}

// openStream makes a stream or takes it up again.
func (e *engine) openStream(ctx context.Context, config jetstream.StreamConfig) (jetstream.Stream, error) {
	config.Storage = jetstream.FileStorage
	config.Retention = jetstream.LimitsPolicy
	config.MaxMsgSize = maxPayload
	config.Replicas = e.layout.replicas
	config.Placement = e.layout.placement
	config.Duplicates = e.layout.remember
	stream, err := e.js.CreateOrUpdateStream(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("opening stream %s: %w", config.Name, err)
	}
	return stream, nil
}

// openConsumer makes the consumer or takes it up again.
func (e *engine) openConsumer(ctx context.Context) error {
	js, err := jetstream.New(e.readConn)
	if err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	e.consumer, err = js.CreateOrUpdateConsumer(ctx, e.layout.stream(inboxStream), jetstream.ConsumerConfig{
		Durable:       consumerName,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: e.layout.packs,
		FilterSubject: e.layout.inboxSubjects(),
	})
	if err != nil {
		return fmt.Errorf("opening consumer %s: %w", consumerName, err)
	}
	return nil
}

// resetConsumer makes a server of one's own hand out again now, not after ackWait, whatever was handed out and not
// acknowledged. The reset also forgets acknowledgements above the floor; what they stand for is gone from the stream after a
// clean close, and comes again after a kill.
func (e *engine) resetConsumer(ctx context.Context, log logr.Logger) error {
	if err := e.checkFloor(ctx, log); err != nil {
		return err
	}
	if _, err := e.stream.ResetConsumer(ctx, consumerName); err != nil {
		return fmt.Errorf("resetting consumer %s: %w", consumerName, err)
	}
	return nil
}

// checkFloor has all packs handed out again where the stream ends before what was processed: otherwise what is published next
// would be taken for processed.
func (e *engine) checkFloor(ctx context.Context, log logr.Logger) error {
	floor, err := e.ackFloor(ctx)
	if err != nil {
		return err
	}
	info, err := e.stream.Info(ctx) // after the floor, which others may raise
	if err != nil {
		return fmt.Errorf("asking for the end of the stream: %w", err)
	}
	if last := info.State.LastSeq; floor > last {
		log.Error(nil, "the stream is older than what was processed; its files are damaged or were restored",
			"lastSequence", last, "processed", floor)
		if _, err := e.stream.ResetConsumerToSequence(ctx, consumerName, 1); err != nil {
			return fmt.Errorf("resetting consumer %s: %w", consumerName, err)
		}
	}
	return nil
}

// findBacklog removes what was processed before and counts the rest.
func (e *engine) findBacklog(ctx context.Context) error {
	floor, err := e.ackFloor(ctx)
	if err != nil {
		return err
	}
	if err := e.purgeThrough(ctx, floor); err != nil {
		return err
	}
	state, err := e.inboxState(ctx)
	if err != nil {
		return err
	}
	e.found = e.newBacklog(state)
	return nil
}

// inboxState returns what the stream of packs holds, by subject.
func (e *engine) inboxState(ctx context.Context) (jetstream.StreamState, error) {
	info, err := e.stream.Info(ctx, jetstream.WithSubjectFilter(e.layout.inboxSubjects()))
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("counting what is stored: %w", err)
	}
	return info.State, nil
}

// ackFloor returns the sequence up to which everything is acknowledged.
func (e *engine) ackFloor(ctx context.Context) (uint64, error) {
	info, err := e.consumer.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking what is processed: %w", err)
	}
	return info.AckFloor.Stream, nil
}

// purgeThrough removes the messages up to and including seq.
func (e *engine) purgeThrough(ctx context.Context, seq uint64) error {
	if seq == 0 {
		return nil
	}
	if err := e.stream.Purge(ctx, jetstream.WithPurgeSequence(seq+1)); err != nil {
		return fmt.Errorf("purging what is processed: %w", err)
	}
	return nil
}

// maxNamespace is the length of the longest DNS label.
const maxNamespace = 63

// checkNamespace refuses what is no DNS label: anything else might be two tokens of a subject or a wildcard.
func checkNamespace(namespace string) error {
	if n := len(namespace); n == 0 || n > maxNamespace {
		return fmt.Errorf("%q is no DNS label", namespace)
	}
	for i := range len(namespace) {
		if c := namespace[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("%q is no DNS label", namespace)
		}
	}
	return nil
}
