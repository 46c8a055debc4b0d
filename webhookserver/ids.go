package webhookserver

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// deliveryIDs makes the ids of deliveries: ULIDs in lower case, each greater than the one before, even when the clock is
// set back. It is safe for concurrent use.
type deliveryIDs struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	last    uint64
}

func newDeliveryIDs() *deliveryIDs {
	// A buffer, because a system call for each id would cost more than the id.
	return &deliveryIDs{entropy: ulid.Monotonic(bufio.NewReader(rand.Reader), 0)}
}

func (d *deliveryIDs) next(now time.Time) string {
	// A clock before 1970 has no ULID.
	id := d.ulid(uint64(max(now.UnixMilli(), 0)))
	var text [ulid.EncodedSize]byte
	// It fails only for a buffer of another size.
	_ = id.MarshalTextTo(text[:])
	for i, c := range text {
		if c >= 'A' {
			text[i] = c + 'a' - 'A'
		}
	}
	return string(text[:])
}

func (d *deliveryIDs) ulid(milliseconds uint64) ulid.ULID {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = max(d.last, milliseconds)
	for {
		id, err := ulid.New(d.last, d.entropy)
		if err == nil {
			return id
		}
		// A millisecond has 2^80 ids; when chance started at its very end, the next one has room.
		d.last++
	}
}

// newTraceTag makes the tag of a delivery whose sender gave none, as StackStorm does.
func newTraceTag(url string) string {
	id := newUUID()
	tag := make([]byte, 0, len("webhook-")+len(url)+1+2*len(id))
	tag = append(tag, "webhook-"...)
	tag = append(tag, url...)
	tag = append(tag, '-')
	return string(hex.AppendEncode(tag, id[:]))
}

// newRequestID makes the X-Request-ID of a request that has none.
func newRequestID() string {
	id := newUUID()
	var text [36]byte
	b := text[:0]
	for i, part := range [][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return string(b)
}

// newUUID makes a random UUID (version 4). It only tells requests apart, so that nobody gains from guessing one.
func newUUID() [16]byte {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:8], mathrand.Uint64())
	binary.LittleEndian.PutUint64(id[8:], mathrand.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}
