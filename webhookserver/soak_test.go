package webhookserver_test

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// crowd is who keeps a server busy at once: bodies of 1 MiB from three tenants, and connections that do not get on, half with
// their head and half with their body.
type crowd struct{ bodies, slow int }

// soak is the crowd of `HOOKSTORM_SOAK=1`; without it there are fewer.
func soak(t *testing.T) crowd {
	c := crowd{bodies: 150, slow: 1000}
	if os.Getenv("HOOKSTORM_SOAK") != "" {
		c = crowd{bodies: 500, slow: 5000}
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	// Both ends of every connection are in this process.
	if most := int(min(files.Cur, 1<<20))/2 - c.bodies - 100; c.slow > most {
		t.Logf("%d slow connections instead of %d: the limit is %d open files", most, c.slow, files.Cur)
		c.slow = most
	}
	return c
}

// TestACrowdTakesLimitedMemory holds a crowd at the moment when it takes most, and lets an honest tenant post meanwhile.
func TestACrowdTakesLimitedMemory(t *testing.T) {
	c := soak(t)
	release, held := make(chan struct{}), make(chan struct{}, c.bodies)
	s := &site{t: t, routes: &webhookserver.Routes{}}
	s.run(webhookserver.Options{Routes: s.routes, Publisher: &publisher{publish: func(_ context.Context, d delivery.Delivery) error {
		if strings.HasPrefix(d.Namespace, "noisy") {
			held <- struct{}{}
			<-release
		}
		return nil
	}}}, func(server *webhookserver.Server) {
		// The slow ones are to be there until all is measured.
		server.Hurry(time.Minute, time.Minute, 1<<10, time.Minute, time.Minute)
	})
	of := func(namespace string) func(*webhookserver.Hook) {
		return func(h *webhookserver.Hook) { h.Namespace = namespace }
	}
	s.program(hook("0", of("noisy-0")), hook("1", of("noisy-1")), hook("2", of("noisy-2")), hook("slow", of("slow")), hook("git"))

	before := memory()
	s.crawl(c.slow)
	body := "{}" + strings.Repeat(" ", 1<<20-2)
	answers := make(chan int, c.bodies)
	for i := range c.bodies {
		go func() { answers <- s.postWhenAsked("/v1/webhooks/"+strconv.Itoa(i%3), body) }()
	}
	stored, refused := settled(t, c.bodies, held, answers)
	times := s.honest(200)
	grown := memory() - before
	close(release)
	for range stored {
		if status := <-answers; status != 202 {
			t.Errorf("a stored body was answered %d", status)
		}
	}

	// Three times the budget: the body, its payload, and what is not collected yet; and for each connection both its ends.
	bound := 3*96<<20 + (c.slow+c.bodies)*32<<10
	t.Logf("%d slow connections, %d bodies held and %d refused: %d MiB more memory, at most %d; honest posts: median %v, p99 %v",
		c.slow, stored, refused, grown>>20, bound>>20, times[len(times)/2], times[len(times)*99/100])
	if grown > bound {
		t.Errorf("memory grew by %d bytes, want at most %d", grown, bound)
	}
	// A share has room for 23 bodies and the copy of one that grows. Those that find none while they grow may have kept others out.
	if most, fewest := 3*23, 3*18; stored > most || stored < min(c.bodies, fewest) {
		t.Errorf("%d bodies are held, want %d to %d", stored, fewest, most)
	}
}

// settled waits until every body is either held or refused, and returns how many are.
func settled(t *testing.T, bodies int, held <-chan struct{}, answers <-chan int) (stored, refused int) {
	t.Helper()
	late := time.After(time.Minute)
	for stored+refused < bodies {
		select {
		case <-held:
			stored++
		case status := <-answers:
			if refused++; status != 503 {
				t.Errorf("a body was answered %d", status)
			}
		case <-late:
			t.Fatalf("%d bodies of %d are held and %d refused", stored, bodies, refused)
		}
	}
	return stored, refused
}

// memory returns what the process has in use, with what is garbage but not collected yet.
func memory() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// crawl opens connections that do not get on.
func (s *site) crawl(count int) {
	s.t.Helper()
	for i := range count {
		connection, err := net.Dial("tcp", s.server.Addr().String())
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { _ = connection.Close() })
		text := postGit + "Host: x\r\nX-A: "
		if i%2 == 0 {
			text = strings.Replace(postGit, "/git", "/slow", 1) + asUsual + "Content-Length: 9000\r\n\r\n{"
		}
		if _, err := io.WriteString(connection, text); err != nil {
			s.t.Fatal(err)
		}
	}
}

// honest posts, and returns how long each took, the shortest first.
func (s *site) honest(count int) []time.Duration {
	s.t.Helper()
	times := make([]time.Duration, count)
	body := `{"title": "` + strings.Repeat("x", 1000) + `"}`
	for i := range times {
		started := time.Now()
		if status := s.postWhenAsked("/v1/webhooks/git", body); status != 202 {
			s.t.Errorf("an honest post was answered %d", status)
		}
		times[i] = time.Since(started)
	}
	slices.Sort(times)
	return times
}
