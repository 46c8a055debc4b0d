package queue

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
)

const (
	// packFormat is the first byte of every pack. What follows in this format is the deliveries, encoded one after the other.
	packFormat = 1
	// packDeliveries bounds the deliveries of a pack.
	packDeliveries = 256
	// packBytes bounds the size of a pack; a larger delivery is a pack of its own.
	packBytes = 512 << 10
	// keptBuffer is the capacity up to which buffers are used again: a few large deliveries must not hold their memory.
	keptBuffer = 64 << 10
)

// entry is one delivery on its way into the stream. Its publisher owns it until it is in line, then the committer, which
// gives it back with the result.
type entry struct {
	namespace string
	pack      []byte      // a pack of this delivery alone
	result    chan error  // capacity 1, so that the committer waits for nobody
	patience  *time.Timer // the publisher's, while it waits
}

// entryPool makes entries and lets them be used again. It may be used by any goroutine.
type entryPool struct {
	free    sync.Pool
	largest int // encoded delivery; zero means maxDelivery
}

// encode returns an entry for a delivery.
func (p *entryPool) encode(d *delivery.Delivery) (*entry, error) {
	if err := checkNamespace(d.Namespace); err != nil {
		return nil, err
	}
	largest := cmp.Or(p.largest, maxDelivery)
	if len(d.Payload) > largest {
		return nil, ErrTooLarge
	}
	e, ok := p.free.Get().(*entry)
	if !ok {
		e = &entry{result: make(chan error, 1), patience: time.NewTimer(publishTime)}
	}
	e.namespace = d.Namespace
	e.pack = d.Append(append(e.pack[:0], packFormat))
	if e.size() > largest {
		p.put(e)
		return nil, ErrTooLarge
	}
	return e, nil
}

// put lets an entry be used again. Nobody else may have it.
func (p *entryPool) put(e *entry) {
	e.patience.Stop()
	if cap(e.pack) > keptBuffer {
		e.pack = nil
	}
	p.free.Put(e)
}

// delivery returns the encoded delivery.
func (e *entry) delivery() []byte { return e.pack[1:] }

// size is the size of the encoded delivery.
func (e *entry) size() int { return len(e.pack) - 1 }

// fits reports whether a pack of n deliveries and size bytes may take e too.
func (e *entry) fits(n, size int) bool {
	return n < packDeliveries && size+e.size() <= packBytes
}

// appendPack appends a pack of the entries to b. A pack of one is returned as it is, without a copy.
func appendPack(b []byte, es []*entry) []byte {
	if len(es) == 1 {
		return es[0].pack
	}
	b = append(b, packFormat)
	for _, e := range es {
		b = append(b, e.delivery()...)
	}
	return b
}

// unpack decodes the deliveries of a pack. Their payloads are parts of b, which must not change afterwards.
func unpack(b []byte) ([]delivery.Delivery, error) {
	if len(b) == 0 {
		return nil, errors.New("decoding a pack: it is empty")
	}
	if b[0] != packFormat {
		return nil, fmt.Errorf("decoding a pack: unknown format %d", b[0])
	}
	var ds []delivery.Delivery
	for rest := b[1:]; len(rest) > 0; {
		d, after, err := delivery.Decode(rest)
		if err != nil {
			return nil, fmt.Errorf("decoding a pack: delivery %d: %w", len(ds)+1, err)
		}
		if ds == nil {
			// Those of one pack are often of nearly one size.
			ds = make([]delivery.Delivery, 0, min(packDeliveries, 1+len(after)/(len(rest)-len(after))))
		}
		ds, rest = append(ds, d), after
	}
	if len(ds) == 0 {
		return nil, errors.New("decoding a pack: it holds nothing")
	}
	return ds, nil
}
