package main

import (
	"context"
	"errors"

	"github.com/hookstorm/hookstorm/internal/dispatch"
	"github.com/hookstorm/hookstorm/webhookserver"
)

// intake is the server with the dispatcher, which goes on until the server has answered its last request.
type intake struct {
	server     *webhookserver.Server
	dispatcher *dispatch.Dispatcher
}

// NeedLeaderElection says that every replica has one.
func (i *intake) NeedLeaderElection() bool { return false }

// Start serves and dispatches until ctx ends; an end of one ends the other.
func (i *intake) Start(ctx context.Context) error {
	serving, stopServing := context.WithCancel(ctx)
	defer stopServing()
	dispatching, stopDispatching := context.WithCancel(context.WithoutCancel(ctx))
	defer stopDispatching()
	ended := make(chan error, 1)
	go func() {
		defer stopServing()
		ended <- i.dispatcher.Start(dispatching)
	}()
	err := i.server.Start(serving)
	stopDispatching()
	return errors.Join(err, <-ended)
}
