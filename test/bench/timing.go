package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// The ends of the names of an attack's results: the median of the time that a 401 takes from a webhook, and from where
// there is none; the greatest difference between the two in any run; and what that is of the standard deviation, of all
// times and of all but the slowest in a hundred, which are slow because of something else and make any difference look small.
const (
	knownSuffix     = ".known"
	unknownSuffix   = ".unknown"
	apartSuffix     = ".apart"
	deviationSuffix = ".apart.deviation"
	fasterSuffix    = ".apart.deviation.99"
)

const (
	timingRuns = 5
	// timingRequests is how many there are of either kind in a run.
	timingRequests = 20_000
	// maxApart, in microseconds, is less than the delays of a network vary by. maxDeviation, in percent, takes thousands of
	// requests to be seen at all.
	maxApart     = 5
	maxDeviation = 5
)

// attack is how a stranger could try to find out which webhooks there are: by requests that are alike but for their path.
type attack struct {
	name  string
	known string // the url of a webhook
	lines string // of the header
	body  []byte
}

// attacks returns all of them. That with a token has no body, which would not be read and so end the connection.
func attacks() []attack {
	badToken, badSignature := "X-Auth-Token: "+sign("")[:len(token)]+"\r\n", gitHubLine(sign(""))
	return []attack{
		{"timing.token", byTokens, badToken, nil},
		{"timing.signature", byGitHub, badSignature, jsonBody(anyNumber)},
		{"timing.signature.other", byStripe, badSignature, jsonBody(anyNumber)},
	}
}

// timingAims are that nobody can tell.
func timingAims() []aim {
	itself := func(a, _ float64) float64 { return a }
	var aims []aim
	for _, a := range attacks() {
		for _, kept := range []struct {
			suffix, unit string
			bound        float64
		}{
			{apartSuffix, unitMicroseconds, maxApart},
			{deviationSuffix, unitPercent, maxDeviation},
			{fasterSuffix, unitPercent, maxDeviation},
		} {
			name := a.name + kept.suffix
			aims = append(aims, aim{name + ", " + kept.unit, name, name, itself, false, kept.bound})
		}
	}
	return aims
}

// measureTimings makes the attacks on a server with a webhook for each authenticator.
func (b *bench) measureTimings(ctx context.Context) (err error) {
	wanted := slices.DeleteFunc(attacks(), func(a attack) bool { return !b.only.MatchString(a.name) })
	if len(wanted) == 0 {
		return nil
	}
	made, err := newAuthenticators()
	if err != nil {
		return err
	}
	d, err := openDoor(made)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	for _, a := range wanted {
		fmt.Fprintln(os.Stderr, a.name)
		runs := make([]parted, timingRuns)
		for i := range runs {
			if runs[i], err = d.attack(ctx, a); err != nil {
				return fmt.Errorf("measuring %s: %w", a.name, err)
			}
		}
		b.results.addRuns(a.name, runs)
	}
	return nil
}

// addRuns adds the results of an attack.
func (r *results) addRuns(name string, runs []parted) {
	var apart, deviation, faster float64
	for _, run := range runs {
		r.add(name+knownSuffix, unitMicroseconds, run.known)
		r.add(name+unknownSuffix, unitMicroseconds, run.unknown)
		difference := math.Abs(run.known - run.unknown)
		apart = max(apart, difference)
		deviation = max(deviation, 100*difference/run.deviation)
		faster = max(faster, 100*difference/run.faster)
	}
	r.add(name+apartSuffix, unitMicroseconds, apart)
	r.add(name+deviationSuffix, unitPercent, deviation)
	r.add(name+fasterSuffix, unitPercent, faster)
}

// parted is what a run saw, in microseconds: both medians, and the standard deviation of all times and of all but the
// slowest in a hundred.
type parted struct{ known, unknown, deviation, faster float64 }

// attack sends both requests by turns over one connection, in either order.
func (d *door) attack(ctx context.Context, a attack) (parted, error) {
	s, err := dial(d.plain, nil)
	if err != nil {
		return parted{}, err
	}
	defer func() { _ = s.conn.Close() }()
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return parted{}, err
	}
	known := newProbe(requestWith(d.plain, webhookPath+a.known, a.lines, a.body))
	unknown := newProbe(requestWith(d.plain, webhookPath+reversed(a.known), a.lines, a.body))
	for range timingRequests {
		first, second := known, unknown
		if rand.IntN(2) == 0 {
			first, second = second, first
		}
		if err := errors.Join(first.send(s), second.send(s), ctx.Err()); err != nil {
			return parted{}, err
		}
	}
	return part(known, unknown), nil
}

// reversed returns a name that is as long, and no webhook's.
func reversed(name string) string {
	letters := []byte(name)
	slices.Reverse(letters)
	return string(letters)
}

// probe is a request with the times that its answers took.
type probe struct {
	request   []byte
	latencies []time.Duration
}

func newProbe(request []byte) *probe {
	return &probe{request: request, latencies: make([]time.Duration, 0, timingRequests)}
}

func (p *probe) send(s *sender) error {
	latency, err := s.timed(p.request, status401)
	p.latencies = append(p.latencies, latency)
	return err
}

func part(known, unknown *probe) parted {
	slices.Sort(known.latencies)
	slices.Sort(unknown.latencies)
	const faster = timingRequests * 99 / 100
	return parted{
		known:     microseconds(percentile(known.latencies, 50)),
		unknown:   microseconds(percentile(unknown.latencies, 50)),
		deviation: math.Sqrt((variance(known.latencies) + variance(unknown.latencies)) / 2),
		faster:    math.Sqrt((variance(known.latencies[:faster]) + variance(unknown.latencies[:faster])) / 2),
	}
}

// variance returns that of some times in microseconds.
func variance(times []time.Duration) float64 {
	var sum, squares float64
	for _, t := range times {
		sum += microseconds(t)
	}
	mean := sum / float64(len(times))
	for _, t := range times {
		squares += math.Pow(microseconds(t)-mean, 2)
	}
	return squares / float64(len(times))
}
