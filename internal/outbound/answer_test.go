package outbound

import (
	"net/http"
	"testing"
	"time"
)

// now is the time on the clocks of tests.
var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func TestRetryAfterIsReadAsSecondsOrDate(t *testing.T) {
	tests := map[string]struct {
		value string
		want  time.Duration
	}{
		"none":                     {"", 0},
		"seconds":                  {"120", 2 * time.Minute},
		"no seconds":               {"0", 0},
		"an hour is the most":      {"86400", time.Hour},
		"more than a number holds": {"99999999999999999999", time.Hour},
		"negative seconds":         {"-5", 0},
		"a sign":                   {"+5", 0},
		"a fraction":               {"1.5", 0},
		"a unit":                   {"5s", 0},
		"a date":                   {"Sat, 14 Mar 2026 15:10:26 GMT", time.Minute},
		"a date of RFC 850":        {"Saturday, 14-Mar-26 15:10:26 GMT", time.Minute},
		"a date of C":              {"Sat Mar 14 15:10:26 2026", time.Minute},
		"a date in the past":       {"Sat, 14 Mar 2026 15:00:00 GMT", 0},
		"a date in the far future": {"Fri, 14 Mar 9999 15:09:26 GMT", time.Hour},
		"neither":                  {"soon", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", test.value)
				w.WriteHeader(http.StatusTooManyRequests)
			})
			c := open(t)
			c.now = func() time.Time { return now }
			if got := mustGet(t, c, server.URL).RetryAfter; got != test.want {
				t.Errorf("%q asks for %s, want %s", test.value, got, test.want)
			}
		})
	}
}
