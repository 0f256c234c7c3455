package smtp

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	idleFor    = 10 * time.Second // servers close after 10 s to 5 min
	mostMails  = 100              // over one connection: many servers allow no more
	quitWithin = time.Second
)

// pool bounds the connections and keeps those that wait for another mail.
type pool struct {
	slots chan struct{} // one for each mail under way
	mu    sync.Mutex
	idle  []*conn // the one used last at the end
}

func newPool(connections int) *pool { return &pool{slots: make(chan struct{}, connections)} }

// enter waits for its turn.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() { <-p.slots }

// take gives the connection used last, nil when none waits.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		if c.expiry.Stop() { // else it is being closed just now
			return c
		}
	}
	return nil
}

// keep lets a connection wait for another mail, for idleFor at most.
func (p *pool) keep(c *conn) {
	if c.mails >= mostMails {
		c.quit()
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, c)
	c.expiry = time.AfterFunc(idleFor, func() {
		p.mu.Lock()
		p.idle = slices.DeleteFunc(p.idle, func(one *conn) bool { return one == c })
		p.mu.Unlock()
		c.quit()
	})
}

func (p *pool) drain() {
	for c := p.take(); c != nil; c = p.take() {
		c.quit()
	}
}
