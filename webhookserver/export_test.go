package webhookserver

import "time"

// Hurry makes a server that has not started lose its patience sooner: with heads, bodies that come slower than size bytes in
// a window, answers that are not read, and idle connections.
func (s *Server) Hurry(head, window time.Duration, size int, write, idle time.Duration) {
	s.http.ReadHeaderTimeout, s.http.WriteTimeout, s.http.IdleTimeout = head, write, idle
	s.handler.pace.window, s.handler.pace.size = window, size
}

// LimitFailures makes a server that has not started bound the failures of each source otherwise.
func (s *Server) LimitFailures(limit Rate) { s.handler.failures.limit = limit }
