package delivery

import (
	"crypto/sha256"
	"encoding/base32"
	"time"
)

// alphabet is Crockford's base 32, the alphabet of ULIDs, in lower case.
var alphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// timeLength is the length of a ULID's first part, its time.
const timeLength = 10

// ChildID returns the id of what a delivery's rule dispatches: the same whenever that is done again. It begins with the
// parent's time, so that ids go on sorting by time.
func ChildID(parent string, because ...string) string {
	if len(parent) < timeLength {
		return IDAt(time.Time{}, append(because, parent)...)
	}
	return parent[:timeLength] + digest(append(because, parent))
}

// IDAt returns the id of what was asked for at a time, by something that the texts identify.
func IDAt(at time.Time, because ...string) string {
	milliseconds := uint64(max(at.UnixMilli(), 0))
	var text [timeLength]byte
	for i := range text {
		text[timeLength-1-i] = "0123456789abcdefghjkmnpqrstvwxyz"[milliseconds>>(5*i)&31]
	}
	return string(text[:]) + digest(because)
}

// digest returns 80 bits of a hash of texts, in 16 characters.
func digest(texts []string) string {
	hash := sha256.New()
	for _, text := range texts {
		hash.Write(appendPart(nil, text))
	}
	return alphabet.EncodeToString(hash.Sum(nil)[:10])
}
