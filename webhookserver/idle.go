package webhookserver

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections makes room for new connections. An idle one costs its sender nothing, so that whoever keeps enough of them
// would leave none for others: from crowded on, each new connection ends the one that has been idle longest. It is safe
// for concurrent use.
type connections struct {
	crowded int // how many are open before idle ones are ended

	mu    sync.Mutex
	open  int
	idle  *list.List // of net.Conn, the longest first
	place map[net.Conn]*list.Element
}

func newConnections(crowded int) *connections {
	return &connections{crowded: crowded, idle: list.New(), place: map[net.Conn]*list.Element{}}
}

// watch is the ConnState of an http.Server.
func (c *connections) watch(connection net.Conn, state http.ConnState) {
	longest := c.note(connection, state)
	if longest == nil {
		return
	}
	// Closing TLS waits for whoever does not read, and Serve waits for this.
	if secured, ok := longest.(*tls.Conn); ok {
		longest = secured.NetConn()
	}
	_ = longest.Close()
}

// note keeps account of a connection, and returns the one that is to be closed for it.
func (c *connections) note(connection net.Conn, state http.ConnState) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(connection)
	switch state {
	case http.StateNew:
		c.open++
		if first := c.idle.Front(); first != nil && c.open > c.crowded {
			longest, _ := first.Value.(net.Conn)
			c.remove(longest)
			return longest
		}
	case http.StateIdle:
		c.place[connection] = c.idle.PushBack(connection)
	case http.StateClosed, http.StateHijacked:
		c.open--
	}
	return nil
}

func (c *connections) remove(connection net.Conn) {
	if place, found := c.place[connection]; found {
		c.idle.Remove(place)
		delete(c.place, connection)
	}
}
