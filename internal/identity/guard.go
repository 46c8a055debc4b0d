package identity

import (
	"errors"
	"runtime/debug"

	"github.com/go-logr/logr"
)

// errPanic says that a question ended in a panic.
var errPanic = errors.New("the answer could not be read, because of an error in HookStorm")

// guard makes an error of a panic, when it is deferred. It is strangers who choose what is asked, in goroutines whose panic
// would end the process. What was panicked with may hold a piece of the answer, so only where it was is logged.
func guard(log logr.Logger, err *error) {
	if recover() != nil {
		*err = errPanic
		log.Error(errPanic, "Panic while asking about a sender", "stack", string(debug.Stack()))
	}
}
