// Package queue stores accepted deliveries until they are processed. It owns the embedded NATS JetStream server with its
// data directory, or the connections to servers elsewhere, and the packing of deliveries into messages; it is the only importer
// of NATS. It knows neither HTTP, nor rules, nor Kubernetes: who publishes and who processes is decided elsewhere.
//
// Publish returns nil only after the pack that holds the delivery is fsynced, so what it acknowledged survives a kill and a
// power loss. While a commit is under way what arrives waits, and then goes into one pack for each namespace: the cost of
// an fsync is shared by all who wait for it, and a delivery alone waits for nothing.
//
// Receive hands out what is stored, namespaces in turn, out of a window that is read ahead, and Message.Done says that a
// delivery is processed. A pack is acknowledged when all its deliveries are done, and removed from the disk later. In a
// queue of one's own each delivery is handed out once between Open and Close. After a clean Close exactly what was not done is
// handed out again, at the next Open at once; after a kill that is joined by what was processed last: deliveries arrive at
// least once. No order is promised, though the deliveries of one namespace are handed out in the order in which they were
// stored.
//
// What must go on later is postponed, what must not be stored twice is published once. Both lie on a shelf: a stream with one
// message and one subject for each delivery, the last of which counts, and a list in memory of what is due when, which
// follows the stream. Receive hands them out as it does the others; each shelf has a part of the window, and fills it with
// what is due, namespaces in turn. They are removed when they are done, or up to some seconds later: after a kill in
// between they come again. What failed for good can be buried, and read again for some days.
//
// Packs and shelves share the bytes of the queue, and of the share of it that a namespace may hold. Dead letters have a room of
// their own.
//
// What cannot be decoded is moved aside, into the directory "undecodable" of the data directory or a stream of its own, and
// logged as an error; the others are not held up.
//
// Several processes may share a queue on NATS servers of their own (see Cluster). Then packs are handed out by the servers to
// whichever process has room, and those of a process that is gone to the others, after ackWait. One process, the keeper, follows
// the shelves and hands out what is on them; it holds a lease, which another takes when it lapses (lease.go). What all of them
// hold is measured each second (steward.go). A delivery may then be handed out twice: to a process that was paused, or was cut
// off from the servers, and to another.
//
// All exported functions and methods may be called from any goroutine. A Queue has eight goroutines of its own beside those
// of the server: the committer (commit.go), the reader (read.go), two for each shelf, of which one hands out (shelf.go) and one
// follows the stream (follow.go), the upkeep and the reporter (upkeep.go). Close stops them in this order, then the server, then
// gives the directory back. One that is shared has a ninth, the steward, which starts and stops those of the shelves, and is
// stopped before them.
package queue
