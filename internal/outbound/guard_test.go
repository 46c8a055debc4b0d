package outbound

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAddressesAreDeniedForAReason(t *testing.T) {
	tests := map[string]string{ // "" is allowed
		"0.0.0.0":         "this host",
		"0.1.2.3":         "this host",
		"::":              "this host",
		"127.0.0.1":       "loopback",
		"127.255.255.254": "loopback",
		"::1":             "loopback",
		"169.254.0.1":     "link-local",
		"fe80::1":         "link-local",
		"fe80::1%eth0":    "link-local",
		"febf::1":         "link-local",
		"169.254.169.254": "cloud metadata",
		"169.254.170.2":   "cloud metadata",
		"fd00:ec2::254":   "cloud metadata",
		"fd20:ce::254":    "cloud metadata",
		"100.100.100.200": "cloud metadata",
		"168.63.129.16":   "cloud metadata",
		"fe80::a9fe:a9fe": "cloud metadata",
		"224.0.0.1":       "multicast",
		"239.255.255.250": "multicast",
		"ff02::1":         "multicast",
		"255.255.255.255": "broadcast",

		"::ffff:0.0.0.0":           "this host",
		"::ffff:127.0.0.1":         "loopback",
		"::ffff:127.0.0.1%eth0":    "loopback",
		"::ffff:169.254.169.254":   "cloud metadata",
		"64:ff9b::127.0.0.1":       "loopback",
		"64:ff9b::169.254.169.254": "cloud metadata",
		"64:ff9b::a00:1%eth0":      "",
		"64:ff9b:1::7f00:1":        "IPv4 in disguise",
		"::127.0.0.1":              "IPv4 in disguise",
		"::ffff:0:127.0.0.1":       "IPv4 in disguise",
		"2002:7f00:1::":            "IPv4 in disguise",
		"2001:0:7f00:1::80ff:fffe": "IPv4 in disguise",

		"10.0.0.1":         "",
		"172.16.0.1":       "",
		"192.168.1.1":      "",
		"100.64.0.1":       "",
		"240.0.0.1":        "",
		"203.0.113.7":      "",
		"::ffff:10.0.0.1":  "",
		"64:ff9b::8.8.8.8": "",
		"fd12:3456::1":     "",
		"2001:db8::1":      "",
		"2001:4860::8888":  "",
		"fec0::1":          "",
		"126.255.255.255":  "",
		"128.0.0.1":        "",
		"169.253.255.255":  "",
		"223.255.255.255":  "",
	}
	g := newGuard(nil, nil)
	for address, want := range tests {
		t.Run(address, func(t *testing.T) {
			err := g.control(t.Context(), "tcp", net.JoinHostPort(address, "80"), nil)
			denied, ok := errors.AsType[*DeniedError](err)
			switch {
			case want == "" && err != nil:
				t.Errorf("denied: %v", err)
			case want != "" && !ok:
				t.Errorf("error is %v, want a DeniedError", err)
			case want != "" && denied.reason != want:
				t.Errorf("denied because of %q, want %q", denied.reason, want)
			}
		})
	}
}

func TestAnAddressThatCannotBeReadIsNotConnectedTo(t *testing.T) {
	for _, address := range []string{"", ":80", "localhost:80", "127.1:80"} {
		if err := newGuard(nil, nil).control(t.Context(), "tcp", address, nil); err == nil {
			t.Errorf("%q is connected to", address)
		}
	}
}

func TestTheLongestPrefixDecides(t *testing.T) {
	tests := map[string]struct {
		allow, deny, address string
		want                 bool
	}{
		"what is denied by default is opened by its prefix":        {"127.0.0.0/8", "", "127.0.0.1", true},
		"one address is opened":                                    {"127.0.0.1/32", "", "127.0.0.1", true},
		"its neighbour is not":                                     {"127.0.0.1/32", "", "127.0.0.2", false},
		"opening IPv4 opens its mapped form":                       {"127.0.0.0/8", "", "::ffff:127.0.0.1", true},
		"a mapped prefix is one of IPv4":                           {"::ffff:127.0.0.0/104", "", "127.0.0.1", true},
		"opening IPv4 opens what NAT64 makes of it":                {"127.0.0.0/8", "", "64:ff9b::127.0.0.1", true},
		"opening what NAT64 makes of it is not enough":             {"64:ff9b::/96", "", "64:ff9b::127.0.0.1", false},
		"opening everything opens nothing that is named":           {"0.0.0.0/0", "", "127.0.0.1", false},
		"opening a network leaves its metadata closed":             {"169.254.0.0/16", "", "169.254.169.254", false},
		"and opens the rest of it":                                 {"169.254.0.0/16", "", "169.254.20.10", true},
		"the IPv6 loopback can be opened":                          {"::1/128", "", "::1", true},
		"a prefix with bits beyond its length is meant as a whole": {"127.0.0.1/8", "", "127.9.9.9", true},

		"what is given is denied":                    {"", "10.96.0.1/32", "10.96.0.1", false},
		"also in its mapped form":                    {"", "10.96.0.1/32", "::ffff:10.96.0.1", false},
		"also behind NAT64":                          {"", "10.96.0.1/32", "64:ff9b::10.96.0.1", false},
		"its neighbour stays allowed":                {"", "10.96.0.1/32", "10.96.0.2", true},
		"a shorter Allow does not open it":           {"10.0.0.0/8", "10.96.0.1/32", "10.96.0.1", false},
		"an equal Allow does":                        {"10.96.0.1/32", "10.96.0.1/32", "10.96.0.1", true},
		"everything can be denied but what is named": {"203.0.113.0/24", "0.0.0.0/0", "203.0.113.7", true},
		"and then the rest is":                       {"203.0.113.0/24", "0.0.0.0/0", "203.0.114.7", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := newGuard(prefixes(test.allow), prefixes(test.deny)).check(netip.MustParseAddr(test.address))
			if got := err == nil; got != test.want {
				t.Errorf("%s is allowed: %t (%v), want %t", test.address, got, err, test.want)
			}
		})
	}
}

func prefixes(text string) []netip.Prefix {
	var ps []netip.Prefix
	for p := range strings.FieldsSeq(text) {
		ps = append(ps, netip.MustParsePrefix(p))
	}
	return ps
}

func TestADenialNamesTheAddressTheReasonAndTheFlag(t *testing.T) {
	tests := map[string]string{
		"169.254.169.254":    "address 169.254.169.254 is denied (cloud metadata); --outbound-allow=169.254.169.254/32 would open it",
		"::1":                "address ::1 is denied (loopback); --outbound-allow=::1/128 would open it",
		"64:ff9b::127.0.0.1": "address 64:ff9b::7f00:1, which is 127.0.0.1, is denied (loopback); --outbound-allow=127.0.0.1/32 would open it",
	}
	for address, want := range tests {
		err := newGuard(nil, nil).check(netip.MustParseAddr(address))
		if err == nil || err.Error() != want {
			t.Errorf("the error is %q, want %q", err, want)
		}
	}
}

func TestWhatADenialProposesOpensTheAddress(t *testing.T) {
	for _, text := range []string{"0.0.0.0", "::1", "::", "fe80::a9fe:a9fe", "2002:7f00:1::", "64:ff9b::169.254.169.254", "ff02::1"} {
		address := netip.MustParseAddr(text)
		denied, ok := errors.AsType[*DeniedError](newGuard(nil, nil).check(address))
		if !ok {
			t.Fatalf("%s is not denied", address)
		}
		_, proposal, _ := strings.Cut(denied.Error(), AllowFlag+"=")
		proposal, _, _ = strings.Cut(proposal, " ")
		if err := newGuard(prefixes(proposal), nil).check(address); err != nil {
			t.Errorf("%s is still denied with %s: %v", address, proposal, err)
		}
	}
}

// victim is a server on the loopback that nobody may call.
func victim(t *testing.T) (server *httptest.Server, calls *atomic.Int32) {
	t.Helper()
	calls = new(atomic.Int32)
	server = httptest.NewUnstartedServer(nil)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			calls.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	return server, calls
}

func TestNoSpellingOfTheLoopbackIsConnectedTo(t *testing.T) {
	hosts := []string{
		"127.0.0.1", "①②⑦.⓪.⓪.①", "127。0。0。1", "0.0.0.0", "localhost", "LOCALHOST.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[0:0:0:0:0:ffff:127.0.0.1]", "localtest.example", "x.127.0.0.1.example", "0x7f000001", "0x7f.0.0.1",
	}
	server, calls := victim(t)
	c := clientOf(t, Options{})
	names(t, c, "127.0.0.1")
	for _, host := range hosts {
		t.Run(host, func(t *testing.T) {
			_, err := get(t, c, "http://"+host+":"+portOf(t, server)+"/")
			if _, ok := errors.AsType[*DeniedError](err); !ok {
				t.Errorf("error is %v, want a DeniedError", err)
			}
		})
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// To the C library, which looks names up where cgo is used, these are the loopback; Go's own resolver knows no such host.
// Which of the two the system's is depends on how and where the test is built.
func TestNoNumberThatMeansTheLoopbackIsConnectedTo(t *testing.T) {
	hosts := []string{"127.1", "2130706433", "0177.0.0.1", "017700000001", "127.0.0.01", "0"}
	resolvers := map[string]*net.Resolver{"the system's resolver": nil, "Go's resolver": {PreferGo: true}}
	server, calls := victim(t)
	for resolver, r := range resolvers {
		c := clientOf(t, Options{})
		c.dialer.Resolver = r
		for _, host := range hosts {
			t.Run(resolver+": "+host, func(t *testing.T) {
				_, err := get(t, c, "http://"+host+":"+portOf(t, server)+"/")
				_, denied := errors.AsType[*DeniedError](err)
				if lookup, ok := errors.AsType[*net.DNSError](err); !denied && (!ok || !lookup.IsNotFound) {
					t.Errorf("error is %v, want a DeniedError, or that there is no such host", err)
				}
			})
		}
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestTheIPv6LoopbackIsNotConnectedTo(t *testing.T) {
	listener := listen(t, "[::1]:0")
	_, err := get(t, clientOf(t, Options{}), "http://"+listener.Addr().String())
	if _, ok := errors.AsType[*DeniedError](err); !ok {
		t.Errorf("error is %v, want a DeniedError", err)
	}
}

// 127.0.0.2 stands for a public address.
func TestANameThatComesToMeanTheLoopbackIsDenied(t *testing.T) {
	server, calls := victim(t)
	port := portOf(t, server)
	public := &httptest.Server{
		Listener: listen(t, "127.0.0.2:"+port),
		Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close") // so that the next call has to look up the name again
		})},
	}
	public.Start()
	t.Cleanup(public.Close)
	c := clientOf(t, Options{Allow: prefixes("127.0.0.2/32")})
	names(t, c, "127.0.0.2", "127.0.0.1")

	url := "http://rebinding.example:" + port
	if answer := mustGet(t, c, url); answer.Status != http.StatusOK {
		t.Errorf("status %d while the name meant the public address", answer.Status)
	}
	_, err := get(t, c, url)
	denied, ok := errors.AsType[*DeniedError](err)
	if !ok {
		t.Fatalf("error is %v, want a DeniedError", err)
	}
	if denied.Address != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("denied is %s", denied.Address)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made to the loopback", n)
	}
}

func TestEachAddressOfANameIsChecked(t *testing.T) {
	server, calls := victim(t)
	port := portOf(t, server)
	listen(t, "127.0.0.2:"+port).Close() // nothing listens there, so that the other address is tried as well
	c := clientOf(t, Options{Allow: prefixes("127.0.0.2/32")})
	names(t, c, "127.0.0.2 127.0.0.1")
	if answer, err := get(t, c, "http://both.example:"+port); err == nil {
		t.Errorf("status %d, want an error", answer.Status)
	}
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made to the loopback", n)
	}
}

func TestARedirectIsAnAnswer(t *testing.T) {
	metadata, calls := victim(t)
	for _, location := range []string{"http://169.254.169.254/latest/meta-data/", metadata.URL, "/elsewhere"} {
		var served atomic.Int32
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			http.Redirect(w, r, location, http.StatusFound)
		})
		answer := mustGet(t, open(t), server.URL)
		if answer.Status != http.StatusFound || answer.Header.Get("Location") != location {
			t.Errorf("answer is %d to %q, want 302 to %q", answer.Status, answer.Header.Get("Location"), location)
		}
		if n := served.Load() + calls.Load(); n != 1 {
			t.Errorf("%d calls were made, want 1", n)
		}
	}
}

func TestTheProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	proxy, calls := victim(t)
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	server := serve(t, func(http.ResponseWriter, *http.Request) {})
	c := open(t)
	names(t, c, "127.0.0.1")
	mustGet(t, c, "http://service.example:"+portOf(t, server)) // a name, as the loopback never goes through a proxy
	if n := calls.Load(); n != 0 {
		t.Errorf("%d connections were made to the proxy", n)
	}
}
