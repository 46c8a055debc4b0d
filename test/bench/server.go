package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/hookstorm/hookstorm/hack/cluster"
)

const (
	// patience bounds every wait for what a server does by itself; the longest is for 1,000 Rules to be ready.
	patience = 3 * time.Minute
	// pollInterval is rare enough for the questions to cost nothing beside what is measured.
	pollInterval = 100 * time.Millisecond
	// cpuSeconds is the metric of the processor time that a process has used, which every server of this benchmark has.
	cpuSeconds = "process_cpu_seconds_total"
)

// server is a process that is measured.
type server struct {
	process *cluster.Process
	address string // where it takes deliveries
	path    string // of the webhook
	metrics string // a URL

	// processed reads from the metrics how many deliveries are done with; nil: a delivery is done with once it is stored.
	processed func(metrics) float64
	// settled reports whether nothing is left to do after the deliveries are processed; nil: nothing ever is.
	settled func(context.Context) (bool, error)
}

// metrics are values by the metric's name, each the sum over all labels.
type metrics map[string]float64

// scrape reads the server's metrics.
func (s *server) scrape(ctx context.Context) (metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.metrics, nil)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	request.Header.Set("Accept-Encoding", "identity") // to compress them would take the server longer than to gather them
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s", answer.Status)
	}
	m := metrics{}
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		series, text, found := strings.Cut(lines.Text(), "} ")
		if !found {
			series, text, _ = strings.Cut(lines.Text(), " ")
		}
		name, _, _ := strings.Cut(series, "{")
		if value, err := strconv.ParseFloat(text, 64); err == nil && !strings.HasPrefix(name, "#") {
			m[name] += value
		}
	}
	return m, lines.Err()
}

// drain waits until so many deliveries are processed and the server has nothing left to do, and returns the metrics.
func (s *server) drain(ctx context.Context, deliveries int) (metrics, error) {
	err := poll(ctx, pollInterval, func(ctx context.Context) (bool, error) {
		m, err := s.scrape(ctx)
		return s.processed == nil || s.processed(m) >= float64(deliveries), err
	})
	if err != nil {
		return nil, fmt.Errorf("waiting until %d deliveries are processed: %w", deliveries, err)
	}
	if s.settled != nil {
		if err := poll(ctx, pollInterval, s.settled); err != nil {
			return nil, fmt.Errorf("waiting until nothing is left to do: %w", err)
		}
	}
	return s.scrape(ctx)
}

// poll asks at an interval until something holds. An error ends it.
func poll(ctx context.Context, interval time.Duration, holds func(context.Context) (bool, error)) error {
	return wait.PollUntilContextTimeout(ctx, interval, patience, true, holds)
}

// freeAddresses returns addresses that nobody listens on now.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		address, err := cluster.FreeAddress()
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// awaitReady waits until a process that was just started answers, and stops it when it does not.
func awaitReady(ctx context.Context, p *cluster.Process, url string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.WaitReady(ctx, url); err != nil {
		p.Kill()
		return err
	}
	return nil
}
