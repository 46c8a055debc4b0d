package webhookserver

import (
	"io"
	"net/http"
	"time"
)

const (
	// bodyWindow is for how long a body may bring less than bodyWindowSize: longer than a lost packet stops an honest sender.
	bodyWindow = 5 * time.Second
	// bodyWindowSize in bodyWindow is a tenth of a megabit a second, a fortieth of what readTimeout asks of the largest body.
	// A body that comes slower would hold its memory for readTimeout at no cost to whoever sends it.
	bodyWindowSize = 64 << 10
	// lingerTimeout is for what is left of a request after its answer, so that its sender can read that before the
	// connection is cut.
	lingerTimeout = time.Second
)

// pace is how fast a body has to come.
type pace struct {
	window time.Duration // for every size bytes
	size   int
	whole  time.Duration // for all of it
}

var defaultPace = pace{window: bodyWindow, size: bodyWindowSize, whole: readTimeout}

// reader returns a reader of the body of the request that w answers. It fails with os.ErrDeadlineExceeded when the body comes
// too slowly.
func (p pace) reader(w http.ResponseWriter, body io.Reader) io.Reader {
	return &pacedBody{pace: p, body: body, w: w, end: time.Now().Add(p.whole)}
}

// pacedBody puts the connection's deadline off with every size bytes. It needs the clock by which the system keeps deadlines.
type pacedBody struct {
	pace
	body io.Reader
	w    http.ResponseWriter
	end  time.Time
	left int // of size, in this window
	err  error
}

// Read implements io.Reader.
func (b *pacedBody) Read(into []byte) (int, error) {
	// After the end of the body, net/http waits on the connection for the sender to leave: it would take a deadline that is
	// set then for that, and cancel the request.
	if b.err != nil {
		return 0, b.err
	}
	if b.left <= 0 {
		deadline := time.Now().Add(b.window)
		if deadline.After(b.end) {
			deadline = b.end
		}
		// An error means a connection that is closed, as reading will tell.
		_ = http.NewResponseController(b.w).SetReadDeadline(deadline)
		b.left = b.size
	}
	n, err := b.body.Read(into)
	b.left -= n
	b.err = err
	return n, err
}

// linger gives a sender whose body is not read a moment to notice its answer, rather than what is left of readTimeout.
func linger(w http.ResponseWriter) {
	// An error means a connection that is closed.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTimeout))
}
