package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"

	"github.com/hookstorm/hookstorm/controllers"
	"github.com/hookstorm/hookstorm/internal/delivery"
	"github.com/hookstorm/hookstorm/webhookserver"
	"github.com/hookstorm/hookstorm/webhookserver/auth"
)

const (
	localhost = "127.0.0.1:0"
	// serverName is whom the certificate of the secured port is for.
	serverName = "hooks.example.com"
)

// door is HookStorm's webhook server in this process, on one port as it is and on another over TLS. It stores nothing, so
// that the disk is not what is measured. It keeps account of what it refuses and which keys it admits, as HookStorm does.
type door struct {
	plain, secured string // addresses
	roots          *x509.CertPool
	close          func() error
}

// openDoor serves a webhook for each authenticator.
func openDoor(authenticators []*authenticator) (*door, error) {
	certificate, err := certify(x509.Certificate{DNSNames: []string{serverName}}, nil)
	if err != nil {
		return nil, err
	}
	options := webhookserver.Options{
		Routes: &webhookserver.Routes{}, Publisher: storeNothing{}, Log: logr.Discard(),
		Observer: controllers.NewActivity(nil, nil, logr.Discard(), time.Now), // it notes, and is not started to write
	}
	options.Routes.Publish(tableOf(authenticators))
	plain, err := webhookserver.Listen(localhost, options)
	if err != nil {
		return nil, err
	}
	options.TLS = &tls.Config{Certificates: []tls.Certificate{*certificate}}
	secured, err := webhookserver.Listen(localhost, options)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving errgroup.Group
	serving.Go(func() error { return plain.Start(ctx) })
	serving.Go(func() error { return secured.Start(ctx) })
	d := &door{plain: plain.Addr().String(), secured: secured.Addr().String(), roots: x509.NewCertPool()}
	d.roots.AddCert(certificate.Leaf)
	d.close = func() error {
		stop()
		return serving.Wait()
	}
	return d, nil
}

// tableOf returns the routes of authenticators. All are in one table, so that every kind has its decoys.
func tableOf(authenticators []*authenticator) *webhookserver.Table {
	in := webhookserver.Input{SystemNamespace: systemNamespace, Tokens: []auth.Token{{
		Digest: auth.Digest([]byte(token)), Key: secretKey("token"), Scopes: []auth.Scope{auth.ScopeSend},
	}}}
	for _, a := range authenticators {
		in.Hooks = append(in.Hooks, webhookserver.Hook{
			Key: webhookserver.Key{Namespace: namespace, URL: a.name}, Name: a.name, UID: a.name,
			Auth: a.methods, Signatures: a.signatures,
		})
	}
	table, _ := webhookserver.Build(in) // the outcomes are for statuses
	return table
}

// connect connects a client that posts what an authenticator admits.
func (d *door) connect(a *authenticator) (*sender, error) {
	if !a.secured {
		return dial(d.plain, requestWith(d.plain, webhookPath+a.name, a.lines, a.body))
	}
	config := &tls.Config{RootCAs: d.roots, ServerName: serverName}
	if a.certificate != nil {
		config.Certificates = []tls.Certificate{*a.certificate}
	}
	conn, err := tls.Dial("tcp", d.secured, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the server over TLS: %w", err)
	}
	return newSender(conn, requestWith(d.secured, webhookPath+a.name, a.lines, a.body)), nil
}

// storeNothing is a Publisher.
type storeNothing struct{}

// Publish implements webhookserver.Publisher.
func (storeNothing) Publish(context.Context, delivery.Delivery) error { return nil }

// PublishOnce implements webhookserver.Publisher.
func (storeNothing) PublishOnce(_ context.Context, _ string, d delivery.Delivery) (string, bool, error) {
	return d.ID, false, nil
}
