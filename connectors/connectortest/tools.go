package connectortest

import (
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
)

// Clock is a clock moved by hand, and a shop's beside it.
type Clock struct {
	mu   sync.Mutex
	at   time.Time
	skew time.Duration
}

// NewClock shows an instant.
func NewClock(at time.Time) *Clock { return &Clock{at: at} }

// Now is our time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Shops is the shop's time: ours and the skew.
func (c *Clock) Shops() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(c.skew)
}

// Set puts both clocks.
func (c *Clock) Set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// Add lets time pass.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Skew puts the shop's clock off ours.
func (c *Clock) Skew(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = d
}

// Crawl runs one stream to its end and gives all its pages as one, with the Total of the first.
func Crawl(t testing.TB, src connectors.Source, stream string, at connectors.Cursor, size int) connectors.Page {
	t.Helper()
	all := connectors.Page{}
	for n := 0; ; n++ {
		p, err := src.Pull(t.Context(), stream, at, size)
		if err != nil {
			t.Fatalf("%s: %v", stream, err)
		}
		if n == 0 {
			all.Total = p.Total
		}
		all.Facts = append(all.Facts, p.Facts...)
		all.Raw = append(all.Raw, p.Raw...)
		all.Rejected = append(all.Rejected, p.Rejected...)
		all.IDs = append(all.IDs, p.IDs...)
		if all.Next, at = p.Next, p.Next; !p.More {
			return all
		}
		if n > 2000 {
			t.Fatalf("%s does not end", stream)
		}
	}
}

// FindingOf is what a probe found of one thing; empty when it did not look at it.
func FindingOf(r connectors.ProbeResult, what string) connectors.Finding {
	for _, f := range r.Findings {
		if f.What == what {
			return f
		}
	}
	return connectors.Finding{}
}
