package webhookserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// limitHeaders refuses a request with more headers than anybody needs.
func (x *exchange) limitHeaders() *refusal {
	if tooManyHeaders(x.r.Header) {
		return &headersTooMany
	}
	return nil
}

// tenant is whose share of the memory for bodies a request takes; "" is that of the urls that nobody owns.
func (x *exchange) tenant() string {
	if x.route == nil {
		return ""
	}
	return x.route.Namespace
}

// limit is the largest body of this request; where nobody owns the url, of any webhook.
func (x *exchange) limit() int64 {
	if x.route == nil {
		return x.table.largestBody
	}
	return x.route.MaxBodySize
}

// limitBody refuses a body that is larger than the webhook takes, be it read already or not.
func (x *exchange) limitBody() *refusal {
	if limit := x.limit(); max(x.r.ContentLength, int64(len(x.body))) > limit {
		return tooLarge(limit)
	}
	return nil
}

// readUnverified reads the body of a sender who is not known yet: up to the largest limit of all webhooks, and from memory that
// is shared by what senders ask for and not by who owns it, so that the answer tells nothing about the webhook.
func (x *exchange) readUnverified() *refusal {
	return x.read(x.unverified, x.at.namespace+"/"+x.at.url, x.table.largestBody)
}

// settle counts a body that was read before its sender was known among those of the tenant.
func (x *exchange) settle() *refusal {
	if !x.memory.move(x.budget, x.tenant()) {
		return &overloaded
	}
	return nil
}

// readBody reads the body, unless a signature needed it before.
func (x *exchange) readBody() *refusal {
	if x.whole {
		return nil
	}
	return x.read(x.budget, x.tenant(), x.limit())
}

// read reads a body of at most limit bytes, after it reserved memory for it: where the length is not known, the most that it
// may become.
func (x *exchange) read(memory *budget, key string, limit int64) *refusal {
	length := x.r.ContentLength
	switch {
	case length == 0:
		return nil
	case length > limit:
		return tooLarge(limit)
	}
	size := length
	if size < 0 {
		size = limit
	}
	reserved, ok := memory.reserve(key, size)
	if !ok {
		return &overloaded
	}
	x.memory = reserved
	body, err := readAll(x.pace.reader(x.w, http.MaxBytesReader(x.w, x.r.Body, limit)), length)
	if err != nil {
		return notRead(err)
	}
	x.body, x.whole = body, true
	return nil
}

func notRead(err error) *refusal {
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return tooLarge(over.Limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &tooSlow
	}
	return &unreadable
}

// readAll reads length bytes, or to the end where length is negative.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length < 0 {
		return io.ReadAll(r)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("reading the body: %w", err)
	}
	return body, nil
}
