package inbox

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	maxBatch      = 256
	commitTimeout = 15 * time.Second // real time; the caller answers 503 after it
)

// delivery is one verified webhook on its way to the disk.
type delivery struct {
	shopID int64
	refs   []crm.Ref
	topic  string
	at     crm.Instant
	body   []byte
}

// batch is the deliveries of one transaction. done is closed when it is decided; err then says how.
type batch struct {
	deliveries []delivery
	done       chan struct{}
	err        error
}

// committer writes deliveries that arrive together in one transaction. The first caller of a batch leads it: it
// waits for its turn to commit, while others join; when nothing is being committed, it goes at once.
type committer struct {
	mirror *mirror.Mirror
	wake   func(int64)
	turn   chan struct{} // one token: the right to commit
	mu     sync.Mutex
	open   *batch // takes deliveries until its leader has the turn
}

func newCommitter(m *mirror.Mirror, wake func(int64)) *committer {
	return &committer{mirror: m, wake: wake, turn: make(chan struct{}, 1)}
}

var errPanicked = errors.New("storing the batch ended unexpectedly")

// store returns nil once the delivery is durable. A caller whose ctx ends no longer waits; its delivery may be
// stored all the same, which is harmless: it is only a hint.
func (c *committer) store(ctx context.Context, d delivery) error {
	b, leads := c.join(d)
	if leads {
		c.lead(ctx, b)
	}
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *committer) join(d delivery) (b *batch, leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open, leads = &batch{done: make(chan struct{})}, true
	}
	b = c.open
	b.deliveries = append(b.deliveries, d)
	if len(b.deliveries) == maxBatch {
		c.open = nil
	}
	return b, leads
}

// lead commits the batch for all who joined, whatever becomes of the leader's own request.
func (c *committer) lead(ctx context.Context, b *batch) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	c.turn <- struct{}{} // bounded: every holder commits within commitTimeout
	c.mu.Lock()
	if c.open == b {
		c.open = nil
	}
	c.mu.Unlock()
	b.err = errPanicked
	defer func() {
		close(b.done)
		<-c.turn // after the close: whom a goroutine wakes last runs first, and the disk should not wait for answers
	}()
	b.err = c.commit(ctx, b.deliveries)
}

func (c *committer) commit(ctx context.Context, ds []delivery) error {
	refs := refsByShop(ds)
	err := c.mirror.DB().Write(ctx, "inbox.store", func(tx *store.Tx) error {
		if err := insert(ctx, tx, ds); err != nil {
			return err
		}
		for _, s := range refs {
			if err := c.mirror.AddHints(ctx, tx, s.id, s.refs, s.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || c.wake == nil {
		return err
	}
	for _, s := range refs {
		c.wake(s.id)
	}
	return nil
}

type shopRefs struct {
	id   int64
	refs []crm.Ref
	at   crm.Instant
}

// refsByShop names each record once, in an order that is the same for everybody: two processes that store the same
// records at once then wait for each other instead of deadlocking.
func refsByShop(ds []delivery) []shopRefs {
	var all []shopRefs
	for _, d := range ds {
		i := slices.IndexFunc(all, func(s shopRefs) bool { return s.id == d.shopID })
		if i < 0 {
			i, all = len(all), append(all, shopRefs{id: d.shopID})
		}
		all[i].refs = append(all[i].refs, d.refs...)
		all[i].at = max(all[i].at, d.at)
	}
	for i := range all {
		slices.SortFunc(all[i].refs, func(a, b crm.Ref) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
		})
		all[i].refs = slices.Compact(all[i].refs)
	}
	slices.SortFunc(all, func(a, b shopRefs) int { return cmp.Compare(a.id, b.id) })
	return all
}
