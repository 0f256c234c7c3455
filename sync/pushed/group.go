package pushed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/relance/relance/connectors/push"
)

const (
	maxGroup      = push.MaxRecords  // records of one transaction: it stays short on every engine
	commitTimeout = 15 * time.Second // real time; the caller answers 503 after it
)

// group is the deliveries of one transaction. done is closed when it is decided; each delivery then has its error or
// its results.
type group struct {
	deliveries []*delivery
	records    int
	done       chan struct{}
}

// committer writes deliveries that arrive together in one transaction, as sync/inbox does: the first caller of a group
// leads it and waits for its turn to commit, while others join; when nothing is being committed, it goes at once.
type committer struct {
	commit func(context.Context, []*delivery)
	turn   chan struct{} // one token: the right to commit
	mu     sync.Mutex
	open   *group // takes deliveries until its leader has the turn
}

func newCommitter(commit func(context.Context, []*delivery)) *committer {
	return &committer{commit: commit, turn: make(chan struct{}, 1)}
}

var errPanicked = errors.New("storing the records ended unexpectedly")

// store returns nil once the delivery is durable and its results are set. A caller whose ctx ends no longer waits and
// must not look at the results; the delivery may be stored all the same, and a repetition of it changes nothing.
func (c *committer) store(ctx context.Context, d *delivery) error {
	g, leads := c.join(d)
	if leads {
		c.lead(ctx, g)
	}
	select {
	case <-g.done:
		return d.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *committer) join(d *delivery) (g *group, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(d.batch.Records)
	if c.open == nil || c.open.records+n > maxGroup { // the one that is full keeps its leader
		c.open, leads = &group{done: make(chan struct{})}, true
	}
	g = c.open
	g.deliveries, g.records = append(g.deliveries, d), g.records+n
	return g, leads
}

// lead commits the group for all who joined, whatever becomes of the leader's own request.
func (c *committer) lead(ctx context.Context, g *group) {
	c.turn <- struct{}{} // bounded: every holder commits within commitTimeout, and there are few holders
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	c.mu.Lock()
	if c.open == g {
		c.open = nil
	}
	c.mu.Unlock()
	for _, d := range g.deliveries {
		d.err = errPanicked
	}
	defer func() {
		close(g.done)
		<-c.turn
	}()
	c.commit(ctx, g.deliveries)
}
