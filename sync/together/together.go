// Package together makes what arrives at the same time durable in one transaction (group commit): a disk that syncs a
// hundred times a second then answers thousands of requests.
package together

import (
	"context"
	"errors"
	"sync"
	"time"
)

const commitTimeout = 15 * time.Second // real time; callers answer 503 after it

// Committer commits things in groups. The first caller of a group leads it: it waits for its turn to commit, while
// others join; when nothing is being committed, it goes at once.
type Committer[T any] struct {
	most   int
	weigh  func(T) int
	commit func(context.Context, []T) error
	turn   chan struct{} // one token: the right to commit
	mu     sync.Mutex
	open   *group[T] // takes things until its leader has the turn
}

// group is the things of one transaction. done is closed when it is decided; err then says how.
type group[T any] struct {
	things []T
	weight int
	done   chan struct{}
	err    error
}

// New makes a Committer. A group weighs at most most, unless one thing alone weighs more. commit is called by one
// goroutine at a time.
func New[T any](most int, weigh func(T) int, commit func(context.Context, []T) error) *Committer[T] {
	return &Committer[T]{most: most, weigh: weigh, commit: commit, turn: make(chan struct{}, 1)}
}

var errPanicked = errors.New("storing what arrived ended unexpectedly")

// Store returns what commit said of the group that the thing was in. A caller whose ctx ends no longer waits; the thing
// may be stored all the same, so a repetition must be harmless.
func (c *Committer[T]) Store(ctx context.Context, thing T) error {
	g, leads := c.join(thing)
	if leads {
		c.lead(ctx, g)
	}
	select {
	case <-g.done:
		return g.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Committer[T]) join(thing T) (g *group[T], leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.weigh(thing)
	if c.open == nil || c.open.weight+n > c.most { // the one that is full keeps its leader
		c.open, leads = &group[T]{done: make(chan struct{})}, true
	}
	g = c.open
	g.things, g.weight = append(g.things, thing), g.weight+n
	return g, leads
}

// lead commits the group for all who joined, whatever becomes of the leader's own request.
func (c *Committer[T]) lead(ctx context.Context, g *group[T]) {
	c.turn <- struct{}{} // bounded: every holder commits within commitTimeout
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	c.mu.Lock()
	if c.open == g {
		c.open = nil
	}
	c.mu.Unlock()
	g.err = errPanicked
	defer func() {
		close(g.done)
		<-c.turn // after the close: whom a goroutine wakes last runs first, and the disk should not wait for answers
	}()
	g.err = c.commit(ctx, g.things)
}
