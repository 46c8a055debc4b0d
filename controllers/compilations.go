package controllers

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// compilations remembers what objects compiled to, so that each generation is compiled once. It serves one goroutine.
type compilations[T any] struct {
	known, next map[types.UID]compilation[T]
}

// compilation is the result of compiling one generation of an object.
type compilation[T any] struct {
	generation int64
	value      T
	err        error
}

// get returns what an object's generation compiled to, and compiles it where that is not known.
func (c *compilations[T]) get(object metav1.Object, compile func() (T, error)) (T, error) {
	result, ok := c.known[object.GetUID()]
	if !ok || result.generation != object.GetGeneration() {
		result.generation = object.GetGeneration()
		result.value, result.err = guarded(compile)
	}
	if c.next == nil {
		c.next = map[types.UID]compilation[T]{}
	}
	c.next[object.GetUID()] = result
	return result.value, result.err
}

// sweep forgets what was not asked for since the last sweep.
func (c *compilations[T]) sweep() { c.known, c.next = c.next, nil }

// guarded makes a panic an error of the one object that causes it.
func guarded[T any](compile func() (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("compiling it panicked: %v", p)
		}
	}()
	return compile()
}
