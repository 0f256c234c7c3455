package mailer

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// status is what the engine tells the page while it keeps mails back.
type status struct {
	mu        sync.Mutex
	switchOff string           // why sending is off altogether
	providers map[int64]string // by audience: why its provider is not asked
}

// Stopped lists, as sentences, why mails are kept back at present; empty when all is well. Safe for concurrent use.
func (e *Engine) Stopped() []string {
	e.status.mu.Lock()
	defer e.status.mu.Unlock()
	var all []string
	if e.status.switchOff != "" {
		all = append(all, e.status.switchOff)
	}
	for _, id := range slices.Sorted(maps.Keys(e.status.providers)) {
		all = append(all, e.status.providers[id])
	}
	return all
}

// allowed asks whether this database may send, and says so once when that changes.
func (e *Engine) allowed() bool {
	why := ""
	if e.o.SendingAllowed != nil {
		if err := e.o.SendingAllowed(); err != nil {
			why = err.Error()
		}
	}
	e.status.mu.Lock()
	changed := e.status.switchOff != why
	e.status.switchOff = why
	e.status.mu.Unlock()
	if changed && why != "" {
		e.o.Log.Warn("nothing is sent", zap.String("because", why))
	}
	e.showPaused()
	return why == ""
}

// breakersLearn draws the conclusions of a batch and says them.
func (e *Engine) breakersLearn(hands []handed) {
	e.breakers.learn(hands, e.o.Wall())
	e.status.mu.Lock()
	before := e.status.providers
	e.status.providers = map[int64]string{}
	for id, b := range e.breakers {
		if b.sentence != "" {
			e.status.providers[id] = b.sentence
		}
	}
	after := e.status.providers
	e.status.mu.Unlock()
	for id, sentence := range after {
		if before[id] != sentence {
			e.o.Log.Error("the provider refuses us; mails wait", zap.Int64("audience", id), zap.String("because", sentence))
		}
	}
	e.showPaused()
}

func (e *Engine) showPaused() {
	v := 0.0
	if len(e.Stopped()) > 0 {
		v = 1
	}
	e.o.Metrics.paused.Set(v)
}

const gaugesEvery = 5 * time.Second

// gauges counts open rows now and then; settled ones are counted as they settle.
func (e *Engine) gauges(ctx context.Context, p *pass) {
	wall := e.o.Wall()
	if wall.Sub(e.gaugesAt) < gaugesEvery {
		return
	}
	e.gaugesAt = wall
	e.eventGauges(ctx, p)
	var rows []struct {
		State string
		N     int64
	}
	if err := selectIn(ctx, e.db.Read(), &rows, "SELECT state, COUNT(*) AS n FROM sends WHERE state IN ('ready','deferred','handing') AND lane IN (?) GROUP BY state", p.lanes); err != nil {
		return // the next count will do
	}
	found := map[string]int64{}
	for _, r := range rows {
		found[r.State] = r.N
	}
	for _, s := range States() {
		if !s.Terminal() {
			e.o.Metrics.rows.WithLabelValues(string(s)).Set(float64(found[string(s)]))
		}
	}
}
