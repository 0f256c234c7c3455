package web

import (
	"container/list"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxAddresses bounds the memory of a limiter: about 3 MB. The address seen longest ago is forgotten first.
const maxAddresses = 16384

// limiter is one token bucket per remote address.
type limiter struct {
	each  rate.Limit
	burst int
	mu    sync.Mutex
	byKey map[netip.Prefix]*list.Element
	order *list.List // front: seen last
}

type bucket struct {
	key    netip.Prefix
	tokens *rate.Limiter
}

func newLimiter(perSecond float64, burst int) *limiter {
	return &limiter{each: rate.Limit(perSecond), burst: burst, byKey: map[netip.Prefix]*list.Element{}, order: list.New()}
}

func (l *limiter) allow(a netip.Addr, now time.Time) bool {
	return l.bucket(keyOf(a)).AllowN(now, 1)
}

func (l *limiter) bucket(key netip.Prefix) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket).tokens //nolint:forcetypeassert // only bucket() puts values here
	}
	if len(l.byKey) >= maxAddresses {
		last := l.order.Back()
		l.order.Remove(last)
		delete(l.byKey, last.Value.(*bucket).key) //nolint:forcetypeassert // only bucket() puts values here
	}
	b := &bucket{key: key, tokens: rate.NewLimiter(l.each, l.burst)}
	l.byKey[key] = l.order.PushFront(b)
	return b.tokens
}

// keyOf takes IPv6 by /64: one household or server has that many addresses to itself.
func keyOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address known: all such requests share one bucket
	}
	return p
}

// clientAddr is the address of who asks. X-Forwarded-For is believed only from a trusted proxy, and read from its
// end: the first entry that is not itself a trusted proxy was written by one.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	addr := netip.Addr{}
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr = ap.Addr().Unmap().WithZone("")
	}
	if !within(addr, trusted) {
		return addr
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		a, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return addr // what stands further left cannot be trusted past a hop that makes no sense
		}
		addr = a
		if !within(addr, trusted) {
			return addr
		}
	}
	return addr
}

// parseHop reads "203.0.113.9", "203.0.113.9:4711", "2001:db8::1" or "[2001:db8::1]:4711", as proxies write them.
func parseHop(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap().WithZone(""), err
}

func within(a netip.Addr, in []netip.Prefix) bool {
	return a.IsValid() && slices.ContainsFunc(in, func(p netip.Prefix) bool { return p.Contains(a) })
}
