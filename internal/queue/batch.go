package queue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// batchMessages and batchBytes bound a batch; the server takes at most 1000 messages and holds them in memory.
	batchMessages = 512
	batchBytes    = 4 << 20
	// batchLeast is from how many messages on a batch is worth it. The server stages a batch in files of its own, which costs
	// as much as some twenty fsyncs; then it fsyncs all of it once.
	batchLeast = 32

	headerBatchID       = "Nats-Batch-Id"
	headerBatchSequence = "Nats-Batch-Sequence"
	headerBatchCommit   = "Nats-Batch-Commit"
)

// storeBatch stores messages in one batch: all of them or none.
func (w *writer) storeBatch(ws []*writing) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTime)
	defer cancel()
	last, err := w.sendBatch(ctx, ws)
	for i, one := range ws {
		if err != nil {
			one.result <- written{err: err}
			continue
		}
		one.result <- written{seq: last - uint64(len(ws)-1-i)} // a batch is not interleaved with anything
	}
}

// sendBatch sends a batch and returns the sequence of its last message.
func (w *writer) sendBatch(ctx context.Context, ws []*writing) (last uint64, err error) {
	id := rand.Text()
	for i, one := range ws {
		one.msg.Header.Set(headerBatchID, id)
		one.msg.Header.Set(headerBatchSequence, strconv.Itoa(i+1))
		if i == len(ws)-1 {
			break
		}
		if err := w.conn.PublishMsg(one.msg); err != nil {
			return 0, commitError(err)
		}
	}
	commit := ws[len(ws)-1].msg
	commit.Header.Set(headerBatchCommit, "1")
	reply, err := w.conn.RequestMsgWithContext(ctx, commit)
	if err != nil {
		if ctx.Err() != nil {
			err = errTimeout
		}
		return 0, fmt.Errorf("committing a batch: %w", commitError(err))
	}
	var answer struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return 0, fmt.Errorf("reading the server's answer: %w", err)
	}
	if answer.Error != nil {
		return 0, commitError(answer.Error)
	}
	return answer.Sequence, nil
}
