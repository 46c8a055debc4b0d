package queuetest

import (
	"fmt"
	"strings"
)

// config returns the configuration of a server.
func (s *Servers) config(i int) string {
	one := s.servers[i]
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %q\n", one.name)
	fmt.Fprintf(&b, "listen: %q\n", one.client)
	fmt.Fprintf(&b, "http: %q\n", one.monitor)
	fmt.Fprintf(&b, "max_payload: %d\n", 8<<20)
	if !s.options.NoTags {
		fmt.Fprintf(&b, "server_tags: [%q]\n", "sync:always")
	}
	if s.options.User != "" {
		fmt.Fprintf(&b, "authorization { user: %q, password: %q }\n", s.options.User, s.options.Password)
	}
	sync := "always"
	if s.options.NoSync {
		sync = "2m"
	}
	// The limits only count what streams reserve: nothing of that is allocated.
	fmt.Fprintf(&b, "jetstream { store_dir: %q, sync_interval: %q, max_file_store: %d, max_memory_store: %d }\n",
		s.path(i, "store"), sync, int64(64<<30), int64(1<<30))
	if len(s.servers) > 1 {
		fmt.Fprintf(&b, "cluster { name: hookstorm, listen: %q, routes: [%s] }\n", one.route, s.routes(i))
	}
	return b.String()
}

// routes returns how a server reaches the others.
func (s *Servers) routes(i int) string {
	var routes []string
	for j, other := range s.servers {
		if j != i {
			routes = append(routes, fmt.Sprintf("%q", "nats://"+other.route))
		}
	}
	return strings.Join(routes, ", ")
}
