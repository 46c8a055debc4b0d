package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster says which NATS servers keep the queue, where that is not one of the process's own. All processes that name the same
// servers share one queue.
type Cluster struct {
	// Name is what the names of streams, subjects and bucket begin with: a DNS label. Installations on the same servers need
	// different ones. Empty means "hookstorm".
	Name string
	// URL has the addresses of the servers, separated by commas, such as "nats://nats-0.nats:4222,nats://nats-1.nats:4222".
	// Required.
	URL string
	// Credentials is a file with a user's JWT and seed, which are read for each connection, or with the seed of an NKey alone,
	// which must stay that of the same key while the process runs. Empty means that the servers ask for none.
	Credentials string
	// TLSDir is a directory with ca.crt, and with tls.crt and tls.key where the servers ask for a certificate. Empty means
	// what the URL says, and the authorities that the system trusts.
	TLSDir string
	// Replicas is on how many servers each message is stored, 1 to 5. Zero means 3.
	Replicas int
	// AllowLazySync accepts servers that do not say that they fsync before they acknowledge.
	AllowLazySync bool
}

const (
	// remoteMaxBytes is what a queue on a cluster holds when nothing else is said; openStreams says how much its servers set
	// aside.
	remoteMaxBytes = 2 << 30
	// leastPayload is the least that a message of the servers may hold; it is their default.
	leastPayload = 1 << 20
	// remotePacks is how many packs may be under way in all processes: sixteen windows. The servers keep each in memory.
	remotePacks = 16 * inboxDeliveries
	defaultName = "hookstorm"
	// defaultReplicas lets one server of three be lost.
	defaultReplicas = 3
	// syncTag is what a server must say of itself: a client cannot ask how it is configured, only how it is tagged.
	syncTag = "sync:always"
	// rememberTime is how long the servers know the id of a message: longer than it may be on its way. Each id takes memory.
	rememberTime = 15 * time.Second
	// attemptTime bounds an attempt to open the queue, and openPause is the pause between two.
	attemptTime = 15 * time.Second
	openPause   = time.Second
)

// openRemote connects to the cluster and opens the streams. It tries for a while: servers may be starting, too.
func openRemote(ctx context.Context, o Options) (*engine, error) {
	reconnected := make(chan struct{}, 1)
	options, err := o.Cluster.options(o.Log, reconnected)
	if err != nil {
		return nil, err
	}
	if err := checkNamespace(cmp.Or(o.Cluster.Name, defaultName)); err != nil {
		return nil, fmt.Errorf("naming the queue: %w", err)
	}
	deadline := time.Now().Add(startTime)
	for {
		e, err := o.attempt(ctx, options)
		if err == nil {
			e.reconnected = reconnected
			return e, nil
		}
		if ctx.Err() != nil || permanent(err) || time.Now().After(deadline) {
			return nil, err
		}
		o.Log.Info("the queue cannot be opened now and will be tried again", "reason", err.Error())
		sleep(ctx, openPause)
	}
}

// attempt tries once to connect and to open the streams.
func (o *Options) attempt(ctx context.Context, options []nats.Option) (*engine, error) {
	limited, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	e := &engine{maxBytes: cmp.Or(o.MaxBytes, remoteMaxBytes), layout: o.Cluster.layout()}
	err := e.open(
		func() error { return e.connect(o.Cluster.URL, options...) },
		func() error { return e.fitPayload(o.Log) },
		func() error { return e.checkSync(limited, o.Cluster) },
		func() error { return e.openStreams(limited) },
		func() error { return e.openConsumer(limited) },
		func() error { return e.openLease(limited) },
		func() error { return e.reachStreams(limited) },
		func() error { return e.checkFloor(limited, o.Log) },
	)
	if err == nil {
		return e, nil
	}
	for _, conn := range []*nats.Conn{e.conn, e.readConn} {
		if conn != nil && errors.Is(conn.LastError(), nats.ErrPermissionViolation) {
			err = fmt.Errorf("%w: %w", conn.LastError(), err) // or it says only that no answer came
		}
	}
	return nil, explain(err)
}

// layout says how the queue lies on the cluster. Its names have a prefix, for the servers may have other users.
func (c *Cluster) layout() layout {
	name := cmp.Or(c.Name, defaultName)
	l := layout{
		streamPrefix: strings.ToUpper(name) + "_", subjectPrefix: name + ".",
		largest: maxDelivery, replicas: cmp.Or(c.Replicas, defaultReplicas), packs: remotePacks,
		patience: publishTime / 2, remember: rememberTime, shared: true,
	}
	if !c.AllowLazySync {
		l.placement = &jetstream.Placement{Tags: []string{syncTag}}
	}
	return l
}

// reachStreams returns when what is published arrives: a server hears only a moment later of streams that are new or that
// another server leads. Nothing is stored: the messages say that they are for another stream.
func (e *engine) reachStreams(ctx context.Context) error {
	for _, subject := range []string{
		e.layout.packSubject("none", 1), e.layout.subject(retryPrefix) + "none.none", e.layout.subject(oncePrefix) + "none.none",
		e.layout.subject(deadPrefix) + "none",
	} {
		for {
			limited, cancel := context.WithTimeout(ctx, publishTime)
			_, err := e.js.Publish(limited, subject, nil, jetstream.WithExpectStream("none"), jetstream.WithRetryAttempts(0))
			cancel()
			var api *jetstream.APIError
			if errors.As(err, &api) {
				break // the stream has answered that it is another
			}
			if ctx.Err() != nil {
				return fmt.Errorf("reaching the streams: %w", err)
			}
			sleep(ctx, againPause)
		}
	}
	return nil
}

// errSmallPayload says that the servers take only small messages.
var errSmallPayload = errors.New("NATS takes only small messages")

// fitPayload finds out how large a delivery may be.
func (e *engine) fitPayload(log logr.Logger) error {
	most := e.conn.MaxPayload()
	if most < leastPayload {
		return fmt.Errorf("%w, of at most %d bytes: set max_payload to 1MB at least, better to 8MB", errSmallPayload, most)
	}
	if most < maxPayload {
		log.Info("NATS takes smaller messages than webhooks may allow; larger bodies are answered 413", "maxPayload", most)
	}
	e.layout.largest = min(e.layout.largest, int(most)-messageSlack)
	return nil
}

// errLazyServer says that a server may acknowledge what is not on disk.
var errLazyServer = fmt.Errorf("NATS does not say that it fsyncs what it acknowledges: give the servers jetstream "+
	"{sync_interval: always} and server_tags [%q], or allow with --nats-allow-lazy-sync that a power loss of several servers "+
	"loses deliveries", syncTag)

// checkSync asks the server that is connected how it is tagged. A cluster checks the tags of all servers, when it places the
// streams, but a single server does not.
func (e *engine) checkSync(ctx context.Context, c *Cluster) error {
	if c.AllowLazySync || e.conn.ConnectedClusterName() != "" {
		return nil
	}
	reply, err := e.conn.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	if err != nil {
		return fmt.Errorf("asking NATS for its tags ($SYS.REQ.USER.INFO): %w", err)
	}
	var answer struct {
		Server struct {
			Tags []string `json:"tags"`
		} `json:"server"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("reading the tags of NATS: %w", err)
	}
	if !slices.Contains(answer.Server.Tags, syncTag) {
		return errLazyServer
	}
	return nil
}

// Error codes of the server that its client has no name for.
const (
	codeAccountStorage jetstream.ErrorCode = 10002
	codeNoPeers        jetstream.ErrorCode = 10005
	codeNoStorage      jetstream.ErrorCode = 10047
	codeNoReplicas     jetstream.ErrorCode = 10074
)

// explain says how to mend what the servers refuse.
func explain(err error) error {
	var api *jetstream.APIError
	errors.As(err, &api)
	switch {
	case errors.Is(err, nats.ErrPermissionViolation):
		return fmt.Errorf("%w: give the user the permissions of docs/operating.md", err)
	case errors.Is(err, nats.ErrAuthorization):
		return fmt.Errorf("%w: name a file with what the servers ask for in --nats-credentials", err)
	case api == nil:
		return err
	case api.ErrorCode == codeNoPeers && strings.Contains(api.Description, syncTag):
		return fmt.Errorf("%w (%w)", errLazyServer, err)
	case api.ErrorCode == codeNoStorage, api.ErrorCode == codeAccountStorage,
		api.ErrorCode == codeNoPeers && strings.Contains(api.Description, "storage"):
		return fmt.Errorf("%w: give NATS more storage (max_file_store in docs/operating.md), or lower --queue-max-bytes", err)
	case api.ErrorCode == codeNoPeers:
		return fmt.Errorf("%w: as many servers are needed as --nats-replicas says", err)
	case api.ErrorCode == codeNoReplicas:
		return fmt.Errorf("%w: for a single server write --nats-replicas=1", err)
	}
	return err
}

// permanent reports whether another attempt ends like this one. Servers of a cluster that are missing may come.
func permanent(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeNoReplicas ||
		errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrPermissionViolation) ||
		errors.Is(err, errLazyServer) && api == nil || errors.Is(err, errSmallPayload)
}
