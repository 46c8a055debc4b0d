package queue

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

const (
	// shelfFormat is the first byte of a message of a shelf. What follows in this format is the length of the progress, the
	// progress, and the delivery.
	shelfFormat = 1
	// maxProgress is the largest progress: with the largest delivery and the headers it must fit into a message.
	maxProgress = 32 << 10
	// shelfOverhead is about what a message takes in its stream beside its content: subject, headers, record.
	shelfOverhead = 256
	// maxID is the length of the longest id: a delivery's, and room for a namespace and a hash.
	maxID = 192
)

// shelve makes the message of a delivery, of which the encoding has at most largest bytes.
func shelve(prefix, id string, d *delivery.Delivery, progress []byte, largest int) (*nats.Msg, error) {
	if err := errors.Join(checkNamespace(d.Namespace), checkID(id)); err != nil {
		return nil, err
	}
	if len(d.Payload) > largest || len(progress) > maxProgress {
		return nil, ErrTooLarge
	}
	b := make([]byte, 0, 1+binary.MaxVarintLen64+len(progress)+keptBuffer/64+len(d.Payload))
	b = binary.AppendUvarint(append(b, shelfFormat), uint64(len(progress)))
	start := len(b) + len(progress)
	b = d.Append(append(b, progress...))
	if len(b)-start > largest {
		return nil, ErrTooLarge
	}
	return &nats.Msg{Subject: prefix + d.Namespace + "." + id, Header: make(nats.Header), Data: b}, nil
}

// unshelve decodes the message of a delivery. Payload and progress are parts of b, which must not change afterwards.
func unshelve(b []byte) (delivery.Delivery, []byte, error) {
	if len(b) == 0 || b[0] != shelfFormat {
		return delivery.Delivery{}, nil, errors.New("decoding a delivery: unknown format")
	}
	n, width := binary.Uvarint(b[1:])
	if width <= 0 || n > uint64(len(b)-1-width) {
		return delivery.Delivery{}, nil, errors.New("decoding a delivery: truncated progress")
	}
	progress, b := b[1+width:][:n:n], b[1+width+int(n):]
	if n == 0 {
		progress = nil
	}
	d, rest, err := delivery.Decode(b)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow", len(rest))
	}
	if err != nil {
		return delivery.Delivery{}, nil, fmt.Errorf("decoding a delivery: %w", err)
	}
	return d, progress, nil
}

// checkID refuses what is no token of a subject.
func checkID(id string) error {
	if n := len(id); n == 0 || n > maxID {
		return fmt.Errorf("id %q has %d characters, want 1 to %d", id, n, maxID)
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return fmt.Errorf("id %q has characters other than letters, digits, - and _", id)
		}
	}
	return nil
}
