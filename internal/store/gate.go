package store

import (
	"context"
	"sync"
)

// gate lets one writer in at a time; urgent ones go before background ones, each in order of arrival.
type gate struct {
	mu      sync.Mutex
	busy    bool
	waiting [2][]chan struct{} // 0 urgent, 1 background
}

func newGate() *gate { return &gate{} }

func (g *gate) enter(ctx context.Context, urgent bool) error {
	rank := 1
	if urgent {
		rank = 0
	}
	g.mu.Lock()
	if !g.busy {
		g.busy = true
		g.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	g.waiting[rank] = append(g.waiting[rank], turn)
	g.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !g.giveUp(rank, turn) {
			g.leave() // the turn came at the same moment: pass it on
		}
		return context.Cause(ctx)
	}
}

func (g *gate) giveUp(rank int, turn chan struct{}) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, c := range g.waiting[rank] {
		if c == turn {
			g.waiting[rank] = append(g.waiting[rank][:i], g.waiting[rank][i+1:]...)
			return true
		}
	}
	return false
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for rank := range g.waiting {
		if q := g.waiting[rank]; len(q) > 0 {
			g.waiting[rank] = q[1:]
			close(q[0])
			return
		}
	}
	g.busy = false
}
