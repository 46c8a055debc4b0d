package delivery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
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
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		b = appendPart(appendPart(b, name), d.Parameters[name])
	}
	b = appendPart(b, d.Instance)
	return binary.AppendUvarint(binary.AppendUvarint(b, d.Depth), d.Kin)
}

func (d *Delivery) readFields(b []byte) error {
	for _, text := range d.texts() {
		value, rest, err := part(b)
		if err != nil {
			return err
		}
		*text, b = string(value), rest
	}
	version, width := binary.Uvarint(b)
	if width <= 0 {
		return errTruncated
	}
	b = b[width:]
	seconds, width := binary.Varint(b)
	if width <= 0 {
		return errTruncated
	}
	b = b[width:]
	nanoseconds, width := binary.Uvarint(b)
	if width <= 0 || nanoseconds >= uint64(time.Second) {
		return errTruncated
	}
	d.RuleVersion, d.Received = version, time.Unix(seconds, int64(nanoseconds)).UTC()
	b, err := d.readParameters(b[width:])
	if err != nil {
		return err
	}
	return d.readOrigin(b)
}

// readOrigin reads the fields that an older writer did not know.
func (d *Delivery) readOrigin(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	instance, b, err := part(b)
	if err != nil {
		return err
	}
	depth, width := binary.Uvarint(b)
	if width <= 0 {
		return errTruncated
	}
	kin, width := binary.Uvarint(b[width:])
	if width <= 0 {
		return errTruncated
	}
	d.Instance, d.Depth, d.Kin = string(instance), depth, kin
	return nil
}

func (d *Delivery) readParameters(b []byte) ([]byte, error) {
	count, width := binary.Uvarint(b)
	if width <= 0 || count > uint64(len(b)) {
		return nil, errTruncated
	}
	b = b[width:]
	for range count {
		name, rest, err := part(b)
		if err != nil {
			return nil, err
		}
		value, rest, err := part(rest)
		if err != nil {
			return nil, err
		}
		if d.Parameters == nil {
			d.Parameters = make(map[string]string, count)
		}
		d.Parameters[string(name)], b = string(value), rest
	}
	return b, nil
}

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
