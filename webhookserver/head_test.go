package webhookserver

import (
	"net/http"
	"strconv"
	"testing"
)

func TestHeadersAreCounted(t *testing.T) {
	distinct, repeated := http.Header{}, http.Header{"Accept": nil}
	for i := range maxHeaders {
		distinct.Add("X-"+strconv.Itoa(i), "x")
		repeated.Add("Accept", "x")
	}
	if tooManyHeaders(distinct) || tooManyHeaders(repeated) || tooManyHeaders(nil) {
		t.Error("as many as may be are too many")
	}
	distinct.Add("Accept", "x")
	repeated.Add("Accept", "x")
	if !tooManyHeaders(distinct) || !tooManyHeaders(repeated) {
		t.Error("one more is not")
	}
}
