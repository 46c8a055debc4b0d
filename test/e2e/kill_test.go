package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/hookstorm/hookstorm/api/v1alpha1"
)

const (
	// longestLoad is for how long deliveries are posted at most, so that no namespace has more than its history holds.
	longestLoad = 2 * time.Second
	// shortestLoad is long enough for the first acknowledgements.
	shortestLoad = 100 * time.Millisecond
	// settleTime is how long the records of a load may take.
	settleTime = 2 * time.Minute
)

// round is one load on a namespace of its own.
type round struct {
	namespace string
	sent      []sent
	found     int           // records, those of unanswered requests among them
	ready     time.Duration // from the start of the process to its readiness
	recorded  time.Duration // to the last record that was promised
}

// newRound makes the namespace, with a Webhook whose history holds all of a load and a Rule, and starts the load.
func newRound(ctx context.Context) (*round, *load) {
	GinkgoHelper()
	r := &round{namespace: makeNamespace(ctx)}
	Apply(ctx, r.namespace, webhook("hook", "url: "+r.namespace+", history: {succeeded: 1000}"))
	ExpectServed(ctx, short(r.namespace))
	// After a kill nobody may lead for a while, and no status says that the Rule is live; a later Rule's url does.
	Apply(ctx, r.namespace, ruleAt("rule", r.namespace, "trigger.body.uuid: {type: exists}"))
	Apply(ctx, r.namespace, ruleAt("later", r.namespace+"/later", ""))
	ExpectServed(ctx, short(r.namespace+"/later"))
	senders := startLoad(loadOptions{path: short(r.namespace), clients: 32, perSecond: 400, mistakes: true})
	DeferCleanup(senders.Stop)
	return r, senders
}

// count counts the requests for which a claim is true.
func (r *round) count(claim func(sent) bool) int {
	n := 0
	for _, s := range r.sent {
		if claim(s) {
			n++
		}
	}
	return n
}

// restart starts HookStorm on the data that it left, and waits for every record that was promised.
func (r *round) restart(ctx context.Context) {
	GinkgoHelper()
	begin := time.Now()
	hookstorm.Start(ctx)
	r.ready = time.Since(begin)
	r.ExpectRecorded(ctx)
	r.recorded = time.Since(begin)
	AddReportEntry("round", r.String(), ReportEntryVisibilityAlways)
}

// ExpectRecorded waits until every delivery that was acknowledged is recorded, and then expects that nothing else is: nothing
// twice, nothing that was refused, nothing that nobody sent.
func (r *round) ExpectRecorded(ctx context.Context) {
	GinkgoHelper()
	var recorded map[string]string
	Eventually(ctx, func() []sent {
		recorded = r.recordedUUIDs(ctx)
		var missing []sent
		for _, s := range r.sent {
			if s.accepted() && recorded[s.delivery] != s.uuid {
				missing = append(missing, s)
			}
		}
		return missing
	}).WithTimeout(settleTime).WithPolling(250*time.Millisecond).Should(BeEmpty(), "acknowledged, but not recorded")

	bySender := make(map[string]sent, len(r.sent))
	for _, s := range r.sent {
		bySender[s.uuid] = s
	}
	r.found = len(recorded)
	times := map[string]int{}
	for delivery, id := range recorded {
		s, known := bySender[id]
		Expect(known).To(BeTrue(), "delivery %s was never sent", delivery)
		Expect(s.refused()).To(BeFalse(), "delivery %s was refused with %d", delivery, s.status)
		times[id]++
		Expect(times[id]).To(Equal(1), "delivery %s is there twice", delivery)
	}
}

// recordedUUIDs returns the UUIDs of the bodies that are recorded, by the delivery's id.
func (r *round) recordedUUIDs(ctx context.Context) map[string]string {
	GinkgoHelper()
	recorded := map[string]string{}
	for _, record := range Records(ctx, r.namespace, "") {
		Expect(recorded).NotTo(HaveKey(record.Spec.DeliveryID), "two records of one delivery")
		var body struct {
			UUID string `json:"uuid"`
		}
		Expect(json.Unmarshal(payload(record).Body, &body)).To(Succeed())
		recorded[record.Spec.DeliveryID] = body.UUID
		Expect(succeeded(record).Reason).To(Equal(v1alpha1.ReasonMatched))
	}
	return recorded
}

// String is a line of the report.
func (r *round) String() string {
	return fmt.Sprintf("%s: %d requests, %d acknowledged, %d refused, %d without an answer; %d recorded; ready after %.2f s, all recorded after %.2f s",
		r.namespace, len(r.sent), r.count(sent.accepted), r.count(sent.refused), r.count(func(s sent) bool { return s.status == 0 }), r.found,
		r.ready.Seconds(), r.recorded.Seconds())
}

var _ = Describe("What was acknowledged", func() {
	// moment returns a random moment of a load.
	moment := func(r *rand.Rand) time.Duration {
		return shortestLoad + time.Duration(r.Int64N(int64(longestLoad-shortestLoad)))
	}

	It("survives kill -9, and is recorded once", func(ctx context.Context) {
		kills := 5
		if soak() {
			kills = 20
		}
		seed := uint64(GinkgoRandomSeed())
		AddReportEntry("seed", fmt.Sprint(seed), ReportEntryVisibilityAlways)
		random := rand.New(rand.NewPCG(seed, 0))

		var rounds []*round
		for range kills {
			r, senders := newRound(ctx)
			<-time.After(moment(random))
			hookstorm.Kill()
			r.sent = senders.Stop()
			Expect(r.count(sent.accepted)).To(BeNumerically(">", 0))
			r.restart(ctx)
			rounds = append(rounds, r)
		}
		acknowledged, found := 0, 0
		for _, r := range rounds {
			r.ExpectRecorded(ctx) // what a later start could have added
			acknowledged += r.count(sent.accepted)
			found += r.found
		}
		AddReportEntry("kills", fmt.Sprintf("%d kills: %d acknowledged, none lost; %d recorded, none twice", kills, acknowledged, found), ReportEntryVisibilityAlways)
	})

	It("survives SIGTERM, and every request under way gets its answer", func(ctx context.Context) {
		hookstorm.Stop()
		hookstorm.Start(ctx, "--shutdown-delay=2s")
		r, senders := newRound(ctx)
		senders.ExpectAnswers(100)
		var halves []net.Conn
		for range 4 {
			halves = append(halves, beginRequest(ctx, short(r.namespace)))
		}

		stopped := make(chan error)
		go func() { stopped <- hookstorm.process.Stop() }()
		// Whoever balances the load learns within the delay that this one stops.
		senders.ExpectAnswers(200)
		r.sent = senders.Stop()
		Eventually(ctx, func() error {
			connection, err := net.Dial("tcp", hookstorm.address)
			if err == nil {
				connection.Close()
			}
			return err
		}).Should(HaveOccurred(), "it still listens")
		for i, half := range halves {
			r.sent = append(r.sent, finishRequest(half, fmt.Sprintf("half-%d", i)))
		}
		Expect(<-stopped).To(Succeed())
		Expect(hookstorm.process.Outcome()).To(Equal("exit status 0"))

		for _, s := range r.sent {
			Expect(s.err).NotTo(HaveOccurred())
			Expect(s.accepted() || s.refused()).To(BeTrue(), "answered with %d", s.status)
		}
		r.restart(ctx)
	})
})

// halfBody is a body that comes late; %q is an id of as many characters as "half-0".
const halfBody = `{"uuid": %q}`

// beginRequest sends the head of a request, and returns once HookStorm waits for its body.
func beginRequest(ctx context.Context, path string) net.Conn {
	GinkgoHelper()
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", hookstorm.address)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { connection.Close() })
	Expect(connection.SetDeadline(time.Now().Add(20 * time.Second))).To(Succeed())
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: hookstorm\r\nX-Auth-Token: %s\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", path, systemToken, len(fmt.Sprintf(halfBody, "half-0")))
	Expect(err).NotTo(HaveOccurred())
	answer := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	_, err = connection.Read(answer)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(answer)).To(Equal("HTTP/1.1 100 Continue\r\n\r\n"))
	return connection
}

// finishRequest sends the body, and reads the answer.
func finishRequest(connection net.Conn, id string) sent {
	if _, err := fmt.Fprintf(connection, halfBody, id); err != nil {
		return sent{uuid: id, err: err}
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return sent{uuid: id, err: err}
	}
	defer response.Body.Close()
	return sent{uuid: id, status: response.StatusCode, delivery: response.Header.Get("X-Delivery-Id")}
}
