package queue

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams, and the first token of their subjects.
const (
	inboxStream, inboxPrefix = "INBOX", "in."    // then the namespace, and on a cluster the size class
	retryStream, retryPrefix = "RETRY", "retry." // then the namespace and the id
	onceStream, oncePrefix   = "ONCE", "once."   // then the namespace and the id
	deadStream, deadPrefix   = "DEAD", "dead."   // then the id
	asideStream, asidePrefix = "ASIDE", "aside." // then the stream and the sequence that it had there
)

// layout says how the queue lies on its servers.
type layout struct {
	streamPrefix  string // before the names of streams
	subjectPrefix string // before subjects
	largest       int    // encoded delivery
	replicas      int    // of each message
	placement     *jetstream.Placement
	packs         int           // that may be handed out by the server and not acknowledged
	patience      time.Duration // how long the server may take to acknowledge
	remember      time.Duration // for how long the server knows message ids; zero: as long as it likes
	// shared says that other processes use the streams, and that servers may replace each other: what they did not acknowledge
	// is sent again, and the subject of a pack tells its size class, for others to count it.
	shared bool
}

// embeddedLayout is that of a server of one's own.
var embeddedLayout = layout{largest: maxDelivery, replicas: 1, packs: inboxDeliveries, patience: publishTime}

func (l *layout) stream(name string) string { return l.streamPrefix + name }

func (l *layout) subject(prefix string) string { return l.subjectPrefix + prefix }

// inboxSubjects are those of all packs.
func (l *layout) inboxSubjects() string {
	if l.shared {
		return l.subject(inboxPrefix) + "*.*"
	}
	return l.subject(inboxPrefix) + "*"
}

// packSubject returns the subject of a pack of this size.
func (l *layout) packSubject(namespace string, size int) string {
	subject := l.subject(inboxPrefix) + namespace
	if l.shared {
		subject += "." + strconv.Itoa(bits.Len(uint(size)))
	}
	return subject
}

// packNamespace returns the namespace of the subject of a pack, and how large such packs are: about, or 0 when it does not tell.
func (l *layout) packNamespace(subject string) (namespace string, size int64) {
	namespace, class, _ := strings.Cut(strings.TrimPrefix(subject, l.subject(inboxPrefix)), ".")
	if n, err := strconv.Atoi(class); err == nil && n > 1 && n < 40 {
		size = 3 << n / 4 // the middle of the class, which begins at half of 1<<n
	}
	return namespace, size
}
