package queue

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/go-logr/logr"
)

// serverLog passes the server's log on. What the server calls fatal does not end the process: Open fails, or the queue is
// not healthy.
type serverLog struct {
	log  logr.Logger
	last atomic.Pointer[string]
}

// lastError returns the last error logged, or "no error logged".
func (l *serverLog) lastError() string {
	if text := l.last.Load(); text != nil {
		return *text
	}
	return "no error logged"
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.last.Store(&text)
	l.log.Error(errors.New(text), "the NATS server reports an error")
}

func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Info("the NATS server warns", "warning", fmt.Sprintf(format, v...))
}

func (l *serverLog) Noticef(format string, v ...any) {
	if log := l.log.V(1); log.Enabled() {
		log.Info("the NATS server notes", "notice", fmt.Sprintf(format, v...))
	}
}

func (l *serverLog) Debugf(string, ...any) {}

func (l *serverLog) Tracef(string, ...any) {}
