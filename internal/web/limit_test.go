package web

import (
	"net/http"
	"net/netip"
	"testing"
	"time"
)

func loopback(t *testing.T) []netip.Prefix {
	t.Helper()
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
}

func TestTheClientIsWhoTheTrustedProxySaw(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ remote, forwarded, want string }{
		"no proxy":                           {"198.51.100.7:4000", "", "198.51.100.7"},
		"a stranger's header is not read":    {"198.51.100.7:4000", "203.0.113.1", "198.51.100.7"},
		"one proxy":                          {"127.0.0.1:4000", "203.0.113.1", "203.0.113.1"},
		"what the client wrote is not read":  {"127.0.0.1:4000", "10.0.0.1, 203.0.113.1", "203.0.113.1"},
		"two proxies":                        {"127.0.0.1:4000", "203.0.113.1, 127.0.0.2", "203.0.113.1"},
		"nonsense ends the reading":          {"127.0.0.1:4000", "203.0.113.1, unknown, 127.0.0.2", "127.0.0.2"},
		"only nonsense":                      {"127.0.0.1:4000", "unknown", "127.0.0.1"},
		"nothing was forwarded":              {"127.0.0.1:4000", "", "127.0.0.1"},
		"with a port":                        {"127.0.0.1:4000", "203.0.113.1:9999", "203.0.113.1"},
		"IPv6 in brackets":                   {"[::1]:4000", "[2001:db8::1]:9999", "2001:db8::1"},
		"IPv6 bare":                          {"[::1]:4000", "2001:db8::1", "2001:db8::1"},
		"IPv4 written as IPv6 is still IPv4": {"[::ffff:198.51.100.7]:4000", "", "198.51.100.7"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientAddr(r, loopback(t)); got.String() != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestALimiterForgetsButNeverGrows(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, 1)
	now := time.Unix(1_700_000_000, 0)
	a := netip.MustParseAddr("10.0.0.0")
	for range maxAddresses + 100 {
		if !l.allow(a, now) {
			t.Fatalf("%s was never seen and is refused", a)
		}
		a = a.Next()
	}
	if len(l.byKey) != maxAddresses || l.order.Len() != maxAddresses {
		t.Errorf("%d addresses kept, %d in order", len(l.byKey), l.order.Len())
	}
	if l.allow(a.Prev(), now) {
		t.Error("the address seen last was forgotten")
	}
	if !l.allow(a.Prev(), now.Add(time.Second)) {
		t.Error("a second later it is still refused")
	}
}

func TestOneHouseholdIsOneAddress(t *testing.T) {
	t.Parallel()
	l := newLimiter(1, 1)
	now := time.Unix(1_700_000_000, 0)
	if !l.allow(netip.MustParseAddr("2001:db8::1"), now) || l.allow(netip.MustParseAddr("2001:db8::2"), now) {
		t.Error("two addresses of one /64 have a bucket each")
	}
	if !l.allow(netip.MustParseAddr("2001:db8:0:1::1"), now) {
		t.Error("another /64 shares the bucket")
	}
}
