package outbound

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxBody bounds what is read of a body. It serves to explain a failure, and holds a key set of some hundred keys.
	maxBody = 64 << 10
	// maxRetryAfter bounds for how long a target may put us off; a longer wait is a failure that its caller should see.
	maxRetryAfter = time.Hour
)

// Answer is what a target answered.
type Answer struct {
	// Status is the HTTP status. A redirect's is one like any other.
	Status int
	// Header is as it came, 64 KiB at most. It belongs to the caller.
	Header http.Header
	// Body is as it came, still compressed if the target compressed it, and cut after 64 KiB. It belongs to the caller.
	Body []byte
	// Truncated says that Body is not all of it: it was cut, or the connection or the context ended. The status counts
	// nevertheless: the target has got the request and said what it made of it.
	Truncated bool
	// RetryAfter is how long the target asks to be left alone, an hour at most. Zero means that it does not ask.
	RetryAfter time.Duration
}

// read reads an answer.
func read(response *http.Response, now time.Time) Answer {
	answer := Answer{
		Status:     response.StatusCode,
		Header:     response.Header,
		RetryAfter: retryAfter(response.Header.Get("Retry-After"), now),
	}
	if answer.Status == http.StatusSwitchingProtocols {
		return answer // its body is the bare connection, and reading that would not end with the context
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	answer.Body = body[:min(len(body), maxBody)]
	answer.Truncated = err != nil || len(body) > maxBody
	return answer
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3): seconds or a date. What is neither asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	// ParseUint returns the largest number for what is out of range; 32 bits of seconds are within a Duration.
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return max(0, min(wait, maxRetryAfter))
}
