package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// loadOptions say what a load posts.
type loadOptions struct {
	path               string
	clients, perSecond int
	mistakes           bool // some requests are such that they are refused
}

// load posts to one webhook until it is stopped, and notes what came of each request. Clients keep their connections.
type load struct {
	stopTicks context.CancelFunc
	ended     sync.WaitGroup

	mu   sync.Mutex
	sent []sent
}

// sent is one request, and what came of it.
type sent struct {
	uuid     string // in its body
	status   int    // 0: no answer came
	delivery string
	err      error
}

// accepted reports whether the sender was told that the delivery is stored.
func (s sent) accepted() bool { return s.status == http.StatusAccepted }

// refused reports whether the sender was told that he made a mistake.
func (s sent) refused() bool { return s.status >= 400 && s.status < 500 }

// startLoad starts posting to HookStorm as it runs now.
func startLoad(o loadOptions) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stopTicks: stop}
	sender := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: o.clients, MaxConnsPerHost: o.clients},
	}
	url := hookstorm.URL(o.path)
	turns := make(chan int)
	l.ended.Go(func() { tick(ctx, o.perSecond, turns) })
	for range o.clients {
		l.ended.Go(func() {
			for turn := range turns {
				s := sent{uuid: uuid.NewString()}
				s.status, s.delivery, s.err = o.postOne(sender, url, turn, s.uuid)
				l.mu.Lock()
				l.sent = append(l.sent, s)
				l.mu.Unlock()
			}
		})
	}
	return l
}

// tick hands out turns at a rate; a turn that no client is free for is left out.
func tick(ctx context.Context, perSecond int, turns chan<- int) {
	defer close(turns)
	ticker := time.NewTicker(time.Second / time.Duration(perSecond))
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case turns <- turn:
		}
	}
}

// postOne posts one request; one in twenty has no token, one has a broken body, if there are to be mistakes.
func (o loadOptions) postOne(sender *http.Client, url string, turn int, id string) (status int, delivery string, err error) {
	body, token := fmt.Sprintf(`{"uuid": %q}`, id), systemToken
	switch turn % 20 {
	case 7:
		if o.mistakes {
			token = ""
		}
	case 13:
		if o.mistakes {
			body = strings.TrimSuffix(body, "}")
		}
	}
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Auth-Token", token)
	response, err := sender.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	// The answer counts from its head on, as it does for a sender.
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("X-Delivery-Id"), nil
}

// Stop stops posting, waits for the answers of what is under way and returns all requests. It may be called again.
func (l *load) Stop() []sent {
	l.stopTicks()
	l.ended.Wait()
	return l.soFar()
}

func (l *load) soFar() []sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.sent)
}

// ExpectAnswers waits until so many more requests have their answer.
func (l *load) ExpectAnswers(more int) {
	GinkgoHelper()
	before := len(l.soFar())
	Eventually(func() int { return len(l.soFar()) - before }).Should(BeNumerically(">=", more))
}
