package auth

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxSignatures is how many entries a signature header may have. Providers send one for each key that is being exchanged.
const maxSignatures = 16

// maxMAC is the room for a signature: base64 that is as long as that of SHA-512's 64 bytes may decode to 66.
const maxMAC = sha512.Size + 2

// Algorithm is how a signature is made.
type Algorithm string

// The algorithms. SHA-1 is for providers that have nothing else.
const (
	HMACSHA256 Algorithm = "HMAC-SHA256"
	HMACSHA512 Algorithm = "HMAC-SHA512"
	HMACSHA1   Algorithm = "HMAC-SHA1"
)

// newHash returns what makes the algorithm's hash; nil if there is none.
func (a Algorithm) newHash() func() hash.Hash {
	switch a {
	case HMACSHA256:
		return sha256.New
	case HMACSHA512:
		return sha512.New
	case HMACSHA1:
		return sha1.New
	default:
		return nil
	}
}

// Encoding is how a signature is written.
type Encoding string

// The encodings: hexadecimal digits of either case, or standard base64 with its padding.
const (
	Hex    Encoding = "Hex"
	Base64 Encoding = "Base64"
)

// claim is what the headers of a request say of its signature.
type claim struct {
	macs      [maxSignatures][maxMAC]byte
	count     int // of macs
	id        string
	timestamp string
	time      int64 // the timestamp, in seconds since 1970
}

// verifyMAC verifies a keyed hash of what the row says.
func verifyMAC(s *Signature, r *Request, at *place) Proof {
	var c claim
	if !s.read(&c, r.Header, at) {
		return Proof{}
	}
	return s.prove(&c, r.Now, s.message.fill(&c, r.Body))
}

// prove finds the key that made one of the signatures of one of some messages, of which the first is the request's.
func (s *Signature) prove(c *claim, now time.Time, messages ...[][]byte) Proof {
	key := s.find(func(k *secretKey) int {
		made := 0
		for _, message := range messages {
			made |= k.made(c, message, s.size)
		}
		return made
	})
	if key == nil || s.message.uses(timestampPart) && !s.fresh(c.time, now) {
		return Proof{}
	}
	return Proof{Result: Result{Verdict: Admitted, Key: *key}, scheme: s.name, signed: messages[0]}
}

// find asks about all keys and returns the first that matches, 1 being a match.
func (s *Signature) find(matches func(*secretKey) int) *Key {
	found := -1
	for i := len(s.keys) - 1; i >= 0; i-- {
		found = subtle.ConstantTimeSelect(matches(&s.keys[i]), i, found)
	}
	if found < 0 {
		return nil
	}
	return &s.keys[found].Key
}

// made returns 1 if the key made one of the claimed signatures, else 0.
func (k *secretKey) made(c *claim, message [][]byte, size int) int {
	mac := k.macs.Get().(hash.Hash)
	defer k.macs.Put(mac)
	mac.Reset()
	for _, piece := range message {
		mac.Write(piece)
	}
	var room [maxMAC]byte
	expected, made := mac.Sum(room[:0]), 0
	for i := range c.count {
		made |= subtle.ConstantTimeCompare(expected, c.macs[i][:size])
	}
	return made
}

// fresh reports whether a signed time is near enough to now.
func (s *Signature) fresh(signed int64, now time.Time) bool {
	away := now.Unix() - signed // neither is negative
	tolerance := int64(s.tolerance / time.Second)
	return -tolerance <= away && away <= tolerance
}

// read takes what the headers claim, or reports that they do not read as the scheme writes them.
func (s *Signature) read(c *claim, h http.Header, at *place) bool {
	value, once := single(h, at.signature)
	if !once || !s.readSignatures(c, value) {
		return false
	}
	if s.message.uses(idPart) {
		if c.id, once = single(h, at.id); !once || !s.message.delimits(c.id) {
			return false
		}
	}
	if !s.message.uses(timestampPart) {
		return true
	}
	if s.timePrefix == "" {
		if c.timestamp, once = single(h, at.timestamp); !once {
			return false
		}
	}
	var valid bool
	c.time, valid = parseTimestamp(c.timestamp)
	return valid
}

// readSignatures takes the signatures, and the time if it is with them, out of their header.
func (s *Signature) readSignatures(c *claim, value string) bool {
	if s.separator == "" {
		return s.readSignature(c, value)
	}
	entries := 0
	for entry := range strings.SplitSeq(value, s.separator) {
		if entries++; entries > maxSignatures {
			return false
		}
		if strings.HasPrefix(entry, s.prefix) {
			if !s.readSignature(c, entry) {
				return false
			}
			continue
		}
		if timestamp, found := strings.CutPrefix(entry, s.timePrefix); found && s.timePrefix != "" {
			if timestamp == "" || c.timestamp != "" {
				return false
			}
			c.timestamp = timestamp
		}
	}
	return true
}

func (s *Signature) readSignature(c *claim, entry string) bool {
	encoded, found := strings.CutPrefix(entry, s.prefix)
	if !found || !s.encoding.decode(c.macs[c.count][:], encoded, s.size) {
		return false
	}
	c.count++
	return true
}

// decode writes size bytes into room, and reports whether encoded is exactly that many.
func (e Encoding) decode(room []byte, encoded string, size int) bool {
	var n int
	var err error
	if e == Hex {
		if len(encoded) != hex.EncodedLen(size) {
			return false
		}
		n, err = hex.Decode(room, []byte(encoded))
	} else {
		if len(encoded) != base64.StdEncoding.EncodedLen(size) {
			return false
		}
		n, err = base64.StdEncoding.Strict().Decode(room, []byte(encoded))
	}
	return err == nil && n == size
}

// parseTimestamp reads seconds since 1970: digits and nothing else.
func parseTimestamp(text string) (int64, bool) {
	const longest = 19 // digits of the greatest int64
	if len(text) > longest || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	return seconds, err == nil
}

// single returns a header's value. One that is sent twice is none: a proxy could pick the other.
func single(h http.Header, name string) (string, bool) {
	values := h[name]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// verifyToken verifies a secret that is sent as it is, by its digest, so that the comparison does not tell its length.
func verifyToken(_ context.Context, s *Signature, r *Request, at *place) Proof {
	token, once := single(r.Header, at.signature)
	if !once {
		return Proof{}
	}
	digest := sha256.Sum256([]byte(token))
	key := s.find(func(k *secretKey) int { return subtle.ConstantTimeCompare(k.secret, digest[:]) })
	if key == nil {
		return Proof{}
	}
	return Proof{Result: Result{Verdict: Admitted, Key: *key}, scheme: s.name, signed: s.message.fill(&claim{}, r.Body)}
}
