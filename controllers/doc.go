// Package controllers turns Rules, Webhooks, Secrets and TriggerTypes into the two values that the request path and the
// dispatcher read, the rule book and the route table, and tells in statuses what became of each object. Programming
// happens on every replica; statuses, kept Webhooks and history are the leader's. Nothing here is on the way of a
// delivery, and the package owns neither the server nor the queue.
package controllers
