package webhookserver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

func TestNobodyTakesMoreThanAShare(t *testing.T) {
	b := newBudget(400)
	for _, c := range []struct {
		name string
		key  string
		n    int64 // less than 0: given back
		want bool
	}{
		{"a part of the share", "a", 60, true},
		{"more than the rest of it", "a", 41, false},
		{"just the rest of it", "a", 40, true},
		{"nothing is always there", "a", 0, true},
		{"another has its own", "b", 100, true},
		{"more than a share", "c", 101, false},
		{"more than can be counted", "c", math.MaxInt64, false},
		{"less than nothing", "c", math.MinInt64, false},
		{"urls that nobody owns are one", "", 99, true},
		{"until theirs is used up", "", 2, false},
		{"the last share", "c", 100, true},
		{"a share of what is used up", "d", 2, false},
		{"what is left", "d", 1, true},
		{"some is given back", "b", -30, true},
		{"for another", "d", 31, false},
		{"as much as was given", "d", 30, true},
		{"it is used up again", "b", 1, false},
	} {
		if c.n < 0 && c.n > math.MinInt64 {
			b.give(c.key, -c.n)
		} else if got := b.take(c.key, c.n); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

func TestABudgetRemembersNobodyWhoHoldsNothing(t *testing.T) {
	b := newBudget(4_000_000)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				key, n := strconv.Itoa(i%7), int64(worker*i)
				if b.take(key, n) {
					b.give(key, n)
				}
			}
		})
	}
	wg.Wait()
	if b.used != 0 || len(b.held) != 0 {
		t.Errorf("%d bytes of %v are still held", b.used, b.held)
	}
}

func TestAReservationMovesAsAWholeOrNotAtAll(t *testing.T) {
	first, second := newBudget(400), newBudget(200)
	held := reservation{budget: first, key: "a"}
	for _, c := range []struct {
		name          string
		do            func() bool
		want          bool
		first, second int64 // what is used of both
	}{
		{"a part of the share", func() bool { return held.grow(80) }, true, 80, 0},
		{"more than the rest of it", func() bool { return held.grow(21) }, false, 80, 0},
		{"some is given back", func() bool { held.shrink(30); return true }, true, 50, 0},
		{"another takes one byte", func() bool { return second.take("b", 1) }, true, 50, 1},
		{"it does not fit beside that", func() bool { return held.move(second, "b") }, false, 50, 1},
		{"nor in part", func() bool { return second.take("b", 50) }, false, 50, 1},
		{"beside others it does", func() bool { return held.move(second, "c") }, true, 0, 51},
		{"what was moved is given back once", func() bool { held.release(); held.release(); return true }, true, 0, 1},
		{"nothing moves anywhere", func() bool { return held.move(second, "b") }, true, 0, 1},
	} {
		if got := c.do(); got != c.want || first.used != c.first || second.used != c.second {
			t.Errorf("%s: %t with %d and %d used, want %t with %d and %d", c.name, got, first.used, second.used, c.want, c.first, c.second)
		}
	}
}

// arriving is a body that comes in pieces, and ends with what is held for it after each.
type arriving struct {
	body   io.Reader
	memory *reservation
	came   int64
	over   string // when too much was held for what came
}

// Read implements io.Reader.
func (a *arriving) Read(into []byte) (int, error) {
	if most := max(firstRoom, 2*a.came); a.memory.size > most && a.over == "" {
		a.over = strconv.FormatInt(a.memory.size, 10) + " bytes for " + strconv.FormatInt(a.came, 10)
	}
	n, err := a.body.Read(into[:min(len(into), 1000)])
	a.came += int64(n)
	return n, err
}

func TestABodyTakesMemoryAsItComes(t *testing.T) {
	const limit, chunked = 5 * firstRoom, -1
	broken := errors.New("connection reset")
	for _, c := range []struct {
		name     string
		length   int64
		size     int   // of the body
		fails    error // after that
		share    int64 // of memory that there is
		want     error
		wantHeld int64
	}{
		{"a short one takes what it is", 10, 10, nil, 10, nil, 10},
		{"one of unknown length takes a first room", chunked, 10, nil, firstRoom, nil, firstRoom},
		{"even an empty one", chunked, 0, nil, firstRoom, nil, firstRoom},
		{"one that fills it takes another", chunked, firstRoom, nil, 3 * firstRoom, nil, 2 * firstRoom},
		{"and nothing more, if that is its length", firstRoom, firstRoom, nil, firstRoom, nil, firstRoom},
		{"a large one takes room for the copy as well", limit, limit, nil, 9 * firstRoom, nil, limit},
		{"and is refused without", limit, limit, nil, 9*firstRoom - 1, errNoRoom, 4 * firstRoom},
		{"one of unknown length is at most as large", chunked, limit, nil, 9*firstRoom + 1, nil, limit + 1},
		{"nothing is there even for the first byte", 10, 10, nil, 9, errNoRoom, 0},
		{"one that says more than comes", limit, 10, nil, limit, io.EOF, firstRoom},
		{"one whose sender leaves", chunked, 10, broken, limit, broken, firstRoom},
	} {
		memory := reservation{budget: newBudget(shares * c.share), key: "a"}
		sent := bytes.Repeat([]byte("x"), c.size)
		fails := c.fails
		if fails == nil {
			fails = io.EOF
		}
		coming := &arriving{body: io.MultiReader(bytes.NewReader(sent), failing{fails}), memory: &memory}
		body, err := readAll(coming, c.length, limit, &memory)
		if !errors.Is(err, c.want) || (c.want == nil) != bytes.Equal(body, sent) {
			t.Errorf("%s: %d bytes and %v, want %v", c.name, len(body), err, c.want)
		}
		if memory.size != c.wantHeld || memory.budget.used != c.wantHeld || coming.over != "" {
			t.Errorf("%s: %d bytes are held, want %d; too many: %s", c.name, memory.size, c.wantHeld, coming.over)
		}
	}
}

// failing is a body of which nothing comes but an error.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }

// stuck is a body of which nothing comes until released. It tells when it is read.
type stuck struct {
	read     chan<- struct{}
	released <-chan struct{}
}

// Read implements io.Reader.
func (s stuck) Read([]byte) (int, error) {
	s.read <- struct{}{}
	<-s.released
	return 0, io.ErrUnexpectedEOF
}

// strangers are requests with a signature, whose bodies do not come.
type strangers struct {
	handler  *handler
	released chan struct{}
	all      sync.WaitGroup
}

// ask returns what is answered to the head of a request; 0 where the body is waited for.
func (s *strangers) ask(from, path string) int {
	read, answered := make(chan struct{}, 1), make(chan int, 1)
	r := httptest.NewRequest(http.MethodPost, path, stuck{read, s.released})
	r.ContentLength, r.RemoteAddr = 1<<20, from
	r.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	s.all.Go(func() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		answered <- w.Code
	})
	select {
	case <-read:
		return 0
	case status := <-answered:
		return status
	}
}

// TestASourceHoldsItsShareBeforeItIsKnown has a source hold as many bodies as it may. What others are answered then depends on
// where they come from, and neither on what they ask for nor on who owns that.
func TestASourceHoldsItsShareBeforeItIsKnown(t *testing.T) {
	const held = 2 // bodies in a share
	signature, err := auth.NewSignature(auth.SignatureOptions{Scheme: "GitHub", Keys: []auth.SigningKey{
		{Key: auth.Key{Namespace: "team", Secret: "s", Name: "k"}, Value: []byte("a key of sixteen bytes or more")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const git, nobodys = "/v1/webhooks/git", "/v1/webhooks/none"
	for _, c := range []struct {
		name, from, path string
		want             map[[2]string]int
	}{
		{"a source", "203.0.113.9:1", git, map[[2]string]int{
			{"203.0.113.9:2", git}:     503,
			{"203.0.113.9:2", nobodys}: 503,
			{"198.51.100.1:1", git}:    0,
			{"127.0.0.1:1", git}:       0,
			{"127.0.0.1:1", "/v1/namespaces/203.0.113.9/webhooks/32"}: 0,
		}},
		{"a source at a url that nobody owns", "203.0.113.9:1", nobodys, map[[2]string]int{
			{"203.0.113.9:2", git}:      503,
			{"203.0.113.9:2", nobodys}:  503,
			{"198.51.100.1:1", nobodys}: 0,
		}},
		{"one with many addresses", "[2001:db8::1]:1", git, map[[2]string]int{
			{"[2001:db8::2]:1", nobodys}: 503,
			{"[2001:db8:0:1::1]:1", git}: 0,
		}},
		{"a proxy that does not say for whom it asks", "10.0.0.1:1", git, map[[2]string]int{
			{"10.0.0.2:1", git}:      503,
			{"10.0.0.1:1", nobodys}:  0,
			{"203.0.113.9:1", git}:   0,
			{"127.0.0.1:1", nobodys}: 0,
		}},
	} {
		routes := &Routes{}
		table, _ := Build(Input{Hooks: []Hook{{Key: Key{Namespace: "team", URL: "git"}, Name: "git", Signatures: []*auth.Signature{signature}}}})
		routes.Publish(table)
		proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		s := &strangers{released: make(chan struct{}), handler: newHandler(Options{Routes: routes, TrustedProxies: proxies})}
		s.handler.unverified = newBudget(shares * held * firstRoom)
		for range held {
			if status := s.ask(c.from, c.path); status != 0 {
				t.Errorf("%s: its share is not there: %d", c.name, status)
			}
		}
		got := map[[2]string]int{}
		for asked := range c.want {
			got[asked] = s.ask(asked[0], asked[1])
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		close(s.released)
		s.all.Wait()
		if used := s.handler.unverified.used; used != 0 {
			t.Errorf("%s: %d bytes are still held", c.name, used)
		}
	}
}

// publishFunc is a Publisher.
type publishFunc func() error

func (f publishFunc) Publish(context.Context, delivery.Delivery) error { return f() }

func (f publishFunc) PublishOnce(_ context.Context, _ string, d delivery.Delivery) (string, bool, error) {
	return d.ID, false, f()
}

func TestBodiesShareABudget(t *testing.T) {
	h := benchmarkHandler()
	h.budget = newBudget(shares * 100)
	post := func(size int, chunked bool) int {
		r := httptest.NewRequest(http.MethodPost, "/v1/webhooks/git", strings.NewReader("["+strings.Repeat(" ", size-2)+"]"))
		r.Header.Set("X-Auth-Token", "secret")
		if chunked {
			r.ContentLength = -1
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	var within []int
	nested := false
	h.publisher = publishFunc(func() error {
		if !nested {
			nested = true
			// 60 bytes are taken by the request that is being stored.
			within = []int{post(41, false), post(40, false), post(2, true)}
		}
		return nil
	})
	if got := post(60, false); got != http.StatusAccepted {
		t.Errorf("the first body: %d", got)
	}
	if len(within) != 3 || within[0] != 503 || within[1] != 202 || within[2] != 503 {
		t.Errorf("too large for the rest, just right, and without a length: %v, want 503, 202, 503", within)
	}
	if got := post(100, false); got != http.StatusAccepted {
		t.Errorf("after the first had its answer: %d", got)
	}
}

// TestASizeIsRefusedBeforeMemoryIsShort has a sender who has just become known post to a tenant whose share is used up.
func TestASizeIsRefusedBeforeMemoryIsShort(t *testing.T) {
	key := []byte("a key of sixteen bytes or more")
	signature, err := auth.NewSignature(auth.SignatureOptions{Scheme: "GitHub", Keys: []auth.SigningKey{{Value: key}}})
	if err != nil {
		t.Fatal(err)
	}
	small := Hook{Key: Key{Namespace: "team", URL: "small"}, Signatures: []*auth.Signature{signature}, MaxBodySize: 10}
	routes := &Routes{}
	table, _ := Build(Input{Hooks: []Hook{small, {Key: Key{Namespace: "team", URL: "large"}}}})
	routes.Publish(table)
	h := newHandler(Options{Routes: routes})
	h.budget = newBudget(0)
	for size, want := range map[int]int{10: http.StatusServiceUnavailable, 11: http.StatusRequestEntityTooLarge} {
		body := strings.Repeat(" ", size)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(body))
		r, w := httptest.NewRequest(http.MethodPost, "/v1/webhooks/small", strings.NewReader(body)), httptest.NewRecorder()
		r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%d bytes: %d, want %d", size, w.Code, want)
		}
	}
}

func TestWhatIsLargeWaitsForItsTurnToBeValidated(t *testing.T) {
	schema, err := CompileSchema([]byte(`{"type": "object"}`))
	if err != nil {
		t.Fatal(err)
	}
	hook := Hook{Key: Key{Namespace: "team", URL: "a"}, Auth: []auth.Method{auth.Anonymous{}}, Schema: schema}
	plain := hook
	plain.URL, plain.Schema = "plain", nil
	table, _ := Build(Input{Hooks: []Hook{hook, plain}})
	synctest.Test(t, func(t *testing.T) {
		routes := &Routes{}
		routes.Publish(table)
		h := newHandler(Options{Routes: routes, Publisher: publishFunc(func() error { return nil })})
		post := func(url string, size int) int {
			body := "{" + strings.Repeat(" ", size-2) + "}"
			r, w := httptest.NewRequest(http.MethodPost, "/v1/webhooks/"+url, strings.NewReader(body)), httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		turns := int64(runtime.GOMAXPROCS(0))
		if !h.validations.TryAcquire(turns) {
			t.Fatal("no turn is free")
		}
		for _, c := range []struct {
			url  string
			size int
			want int
		}{
			{"a", smallDocument, http.StatusAccepted},
			{"a", smallDocument + 1, http.StatusServiceUnavailable},
			{"plain", smallDocument + 1, http.StatusAccepted},
		} {
			if got := post(c.url, c.size); got != c.want {
				t.Errorf("%s, %d bytes: %d, want %d", c.url, c.size, got, c.want)
			}
		}
		time.AfterFunc(validationPatience/2, func() { h.validations.Release(turns) })
		if got := post("a", smallDocument+1); got != http.StatusAccepted {
			t.Errorf("after a turn became free: %d", got)
		}
		if !h.validations.TryAcquire(turns) {
			t.Error("a turn is not given back")
		}
	})
}
