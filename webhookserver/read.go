package webhookserver

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// firstRoom is for how many bytes of a body there is memory at first. That is what has to come in a bodyWindow, so that who
// sends nothing does not hold it for longer.
const firstRoom = bodyWindowSize

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

// stranger is whose share of the memory for bodies a request takes whose sender is not known yet: that of its source. Only
// where many have one address, it is that of what the request asks for, which is up to the sender. Neither depends on who
// owns the url, so that the answer tells nothing about the webhook.
func (x *exchange) stranger() string {
	if x.sources.shared(x.source) {
		return "/" + x.at.namespace + "/" + x.at.url // no source begins with a slash
	}
	return sourceOf(x.source).String()
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

// readUnverified reads the body of a sender who is not known yet, up to the largest limit of all webhooks.
func (x *exchange) readUnverified() *refusal {
	return x.read(x.unverified, x.stranger(), x.table.largestBody)
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

// read reads a body of at most limit bytes into memory of a budget.
func (x *exchange) read(memory *budget, key string, limit int64) *refusal {
	length := x.r.ContentLength
	switch {
	case length == 0:
		return nil
	case length > limit:
		return tooLarge(limit)
	}
	x.memory = reservation{budget: memory, key: key}
	rest := x.r.Body
	if length < 0 {
		rest = http.MaxBytesReader(x.w, rest, limit)
	}
	body, err := readAll(x.pace.reader(x.w, rest), length, limit, &x.memory)
	if err != nil {
		return notRead(err)
	}
	x.body, x.whole = body, true
	return nil
}

func notRead(err error) *refusal {
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return tooLarge(over.Limit)
	case errors.Is(err, errNoRoom):
		return &overloaded
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &tooSlow
	default:
		return &unreadable
	}
}

// errNoRoom says that there is no memory for more of a body.
var errNoRoom = errors.New("there is no memory for the body")

// readAll reads length bytes, or to the end of what has at most limit where length is negative. It takes memory as the bytes
// come, and holds no more of it than twice what came: what a sender only says it will send costs nothing.
func readAll(r io.Reader, length, limit int64, memory *reservation) ([]byte, error) {
	whole := length
	if length < 0 {
		whole = limit + 1 // without room for more, the end would not be seen
	}
	var body []byte
	for {
		if len(body) == cap(body) {
			var ok bool
			if body, ok = enlarge(body, whole, memory); !ok {
				return nil, errNoRoom
			}
		}
		n, err := r.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) == length, length < 0 && err == io.EOF: // a wrapped one is not the end
			return body, nil
		case err != nil:
			return nil, fmt.Errorf("reading the body: %w", err)
		}
	}
}

// enlarge returns a body with twice the room, and at most whole bytes of it. While it is copied, memory is held for both.
func enlarge(body []byte, whole int64, memory *reservation) ([]byte, bool) {
	held := int64(cap(body))
	room := min(max(2*held, firstRoom), whole)
	if !memory.grow(room) {
		return nil, false
	}
	larger := make([]byte, len(body), room)
	copy(larger, body)
	memory.shrink(held)
	return larger, true
}
