package delivery

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// errTruncated reports an encoding that ends too early.
var errTruncated = errors.New("truncated delivery")

// Append appends the encoding of d to b and returns the extended slice.
//
// The encoding is two length-prefixed parts (unsigned varint, then bytes): the fields as a JSON object, so that a reader
// of another version ignores what it does not know, and the payload as it is.
func (d *Delivery) Append(b []byte) ([]byte, error) {
	fields, err := json.Marshal(d)
	if err != nil {
		return b, fmt.Errorf("encoding delivery %s: %w", d.ID, err)
	}
	b = binary.AppendUvarint(b, uint64(len(fields)))
	b = append(b, fields...)
	b = binary.AppendUvarint(b, uint64(len(d.Payload)))
	return append(b, d.Payload...), nil
}

// Decode reads one delivery from the start of b and returns it with the rest of b. The payload is a part of b, which must
// not change afterwards.
func Decode(b []byte) (Delivery, []byte, error) {
	var d Delivery
	fields, b, err := part(b)
	if err != nil {
		return d, nil, err
	}
	if err := json.Unmarshal(fields, &d); err != nil {
		return d, nil, fmt.Errorf("decoding delivery: %w", err)
	}
	payload, b, err := part(b)
	if err != nil {
		return d, nil, err
	}
	d.Payload = payload
	return d, b, nil
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
