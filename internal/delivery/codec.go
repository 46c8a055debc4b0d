package delivery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errTruncated reports an encoding that ends too early.
var errTruncated = errors.New("truncated delivery")

// Append appends the encoding of d to b and returns the extended slice.
//
// The encoding is two parts, each an unsigned varint that tells its length, and so many bytes: the fields, and the payload as
// it is. Each field is encoded as a part too, in the order of appendFields. A new field goes to the end: an older reader
// stops before it, and to a newer reader the ones that an older writer did not know are empty.
func (d *Delivery) Append(b []byte) []byte {
	var space [512]byte
	b = appendPart(b, d.appendFields(space[:0]))
	return appendPart(b, d.Payload)
}

// Decode reads one delivery from the start of b and returns it with the rest of b. The payload is a part of b, which must
// not change afterwards.
func Decode(b []byte) (Delivery, []byte, error) {
	var d Delivery
	fields, b, err := part(b)
	if err != nil {
		return d, nil, err
	}
	if err := d.readFields(fields); err != nil {
		return d, nil, fmt.Errorf("decoding delivery: %w", err)
	}
	payload, b, err := part(b)
	if err != nil {
		return d, nil, err
	}
	d.Payload = payload
	return d, b, nil
}

// texts are the fields that are texts, in their order in the encoding.
func (d *Delivery) texts() [8]*string {
	return [...]*string{&d.ID, &d.Namespace, &d.Webhook, &d.URL, &d.Trigger, &d.TraceTag, &d.Sender, &d.Violation}
}

func (d *Delivery) appendFields(b []byte) []byte {
	for _, text := range d.texts() {
		b = appendPart(b, *text)
	}
	b = binary.AppendUvarint(b, d.RuleVersion)
	b = binary.AppendVarint(b, d.Received.Unix())
	b = binary.AppendUvarint(b, uint64(d.Received.Nanosecond()))
	b = binary.AppendUvarint(b, uint64(len(d.Parameters)))
	var space [4]string
	names := space[:0]
	for name := range d.Parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		b = appendPart(appendPart(b, name), d.Parameters[name])
	}
	b = appendPart(b, d.Instance)
	return binary.AppendUvarint(binary.AppendUvarint(b, d.Depth), d.Kin)
}

func (d *Delivery) readFields(b []byte) error {
	f := &fieldReader{rest: b, all: string(b)}
	for _, text := range d.texts() {
		*text = f.text()
	}
	d.RuleVersion = f.number()
	seconds, nanoseconds := f.signed(), f.number()
	if nanoseconds >= uint64(time.Second) {
		return errTruncated
	}
	d.Received = time.Unix(seconds, int64(nanoseconds)).UTC()
	d.readParameters(f)
	if len(f.rest) > 0 { // an older writer did not know the rest
		d.Instance, d.Depth, d.Kin = f.text(), f.number(), f.number()
	}
	return f.err
}

func (d *Delivery) readParameters(f *fieldReader) {
	count := f.number()
	if count > uint64(len(f.rest)) {
		f.fail()
	}
	for range count {
		if f.err != nil {
			return
		}
		if d.Parameters == nil {
			d.Parameters = make(map[string]string, count)
		}
		name := f.text()
		d.Parameters[name] = f.text()
	}
}

// fieldReader reads fields one after the other, until one is truncated; the values from there on are zero. All texts share
// one string.
type fieldReader struct {
	rest []byte
	all  string // ends with rest
	err  error
}

func (f *fieldReader) text() string {
	value, rest, err := part(f.rest)
	if err != nil {
		f.fail()
		return ""
	}
	f.rest = rest
	end := len(f.all) - len(rest)
	return f.all[end-len(value) : end]
}

func (f *fieldReader) number() uint64 {
	value, width := binary.Uvarint(f.rest)
	f.skip(width)
	return value
}

func (f *fieldReader) signed() int64 {
	value, width := binary.Varint(f.rest)
	f.skip(width)
	return value
}

func (f *fieldReader) skip(width int) {
	if width <= 0 {
		f.fail()
		return
	}
	f.rest = f.rest[width:]
}

func (f *fieldReader) fail() { f.rest, f.err = nil, errTruncated }

// appendPart appends a length and so many bytes.
func appendPart[T ~string | ~[]byte](b []byte, content T) []byte {
	b = binary.AppendUvarint(b, uint64(len(content)))
	return append(b, content...)
}

// part cuts one length-prefixed part from the start of b.
func part(b []byte) (head, rest []byte, err error) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return nil, nil, errTruncated
	}
	end := width + int(n)
	return b[width:end:end], b[end:], nil
}
