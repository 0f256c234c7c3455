package engine

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const (
	bodiesAtOnce   = 100
	rereadsAtOnce  = 200
	redefineStream = "normalising" // what progress calls the walk
)

// redefining is the walk over the stored bodies after a change of the mapping or of the normaliser. Each body says by
// which rules it was read, so a walk that was interrupted goes on with those that are left.
type redefining struct {
	under   bool // some bodies may have been read by other rules
	after   crm.Ref
	done    int
	total   int
	missing bool        // the bodies are done; now for the records without one
	kind    int         // of crm.Kinds()
	id      string      // the last one asked to be read again
	pause   crm.Instant // normalising as such is failing: not before
	failed  int
}

// rules are those of the source, "" when it cannot normalise without the shop.
func (e *Engine) rules() string {
	if n, ok := e.o.Source.(connectors.Normaliser); ok {
		return n.Rules()
	}
	return ""
}

// startRedefining looks whether the shop's records were read by other rules than those in force.
func (e *Engine) startRedefining(ctx context.Context) error {
	rules := e.rules()
	e.redef = redefining{}
	if rules == "" || rules == e.shop.Rules {
		return nil
	}
	n, err := e.o.Mirror.CountOutdated(ctx, e.shop.ID, rules)
	if err != nil {
		return err
	}
	e.redef = redefining{under: true, total: n, missing: e.shop.Rules == ""}
	if e.shop.Rules == "" && n == 0 {
		return e.endRedefining(ctx, rules) // the first rules of all
	}
	e.log.Info("the mapping changed: what is stored is read again by it", zap.Int("records", n))
	return nil
}

// redefine normalises the next few stored bodies again, with cause redefined. Step calls it when nothing else is due.
func (e *Engine) redefine(ctx context.Context, now time.Time) (worked bool, err error) {
	if !e.redef.under || e.redef.pause > crm.At(now) {
		return false, nil
	}
	rules := e.rules()
	bodies, err := e.o.Mirror.OutdatedRecords(ctx, e.shop.ID, rules, e.redef.after, bodiesAtOnce)
	if err != nil {
		return false, err
	}
	if len(bodies) == 0 {
		return true, e.redefineRest(ctx, rules, now)
	}
	done, err := e.renormalise(ctx, rules, bodies, now)
	if err != nil || !done {
		return true, err
	}
	e.redef.after = bodies[len(bodies)-1].Ref
	e.redef.done += len(bodies)
	p := Progress{Shop: e.shop.Name, Stream: redefineStream, Done: e.redef.done, Total: max(e.redef.total, e.redef.done)}
	e.o.Metrics.progress(p)
	e.o.Progress(p)
	return true, nil
}

// redefineFirst sees to it that records about to be read were read by the rules in force before: what differs then is
// the shop's doing and not the mapping's, and only that may trigger something.
func (e *Engine) redefineFirst(ctx context.Context, facts []crm.Fact, now time.Time) (ready bool, err error) {
	if !e.redef.under || len(facts) == 0 {
		return true, nil
	}
	rules := e.rules()
	bodies, err := e.o.Mirror.OutdatedAmong(ctx, e.shop.ID, rules, refsOf(mirror.Batch{Facts: facts}))
	if err != nil || len(bodies) == 0 {
		return err == nil, err
	}
	return e.renormalise(ctx, rules, bodies, now)
}

// renormalise makes the facts of the bodies anew and commits them as of when the bodies were read: a later read wins.
// done is false when the shop would not tell what is needed for it.
func (e *Engine) renormalise(ctx context.Context, rules string, bodies []mirror.SourceRecord, now time.Time) (done bool, err error) {
	source, ok := e.o.Source.(connectors.Normaliser)
	if !ok {
		return true, nil
	}
	var b mirror.Batch
	err = e.ask(ctx, now, func(ctx context.Context) (time.Time, error) {
		var err error
		b, err = normalise(ctx, source, bodies)
		return time.Time{}, err
	})
	if err != nil {
		return false, e.redefineFailed(ctx, now, err)
	}
	e.redef.failed = 0
	b.ShopID, b.ObservedAt, b.Cause, b.Rules = e.shop.ID, e.clock.observe(now), crm.CauseRedefined, rules
	res, err := e.apply(ctx, "sync.redefine", b, func(tx *store.Tx, res mirror.Result) error {
		if err := e.o.Mirror.MarkNormalised(ctx, tx, e.shop.ID, rules, bodies); err != nil {
			return err
		}
		return e.o.Mirror.AddRedefined(ctx, tx, e.shop.ID, res.Reread, crm.At(now))
	})
	if err != nil {
		return false, err
	}
	e.o.Metrics.applied(e.shop.Name, res)
	return true, nil
}

// normalise gives the facts of the bodies. A record that two bodies speak of is as old as the newer of them.
func normalise(ctx context.Context, source connectors.Normaliser, bodies []mirror.SourceRecord) (mirror.Batch, error) {
	b := mirror.Batch{ReadAt: map[crm.Ref]crm.Instant{}}
	for _, body := range bodies {
		p, err := source.Normalise(ctx, body.RawRecord)
		if err != nil {
			return b, err
		}
		for _, f := range p.Facts {
			if f.Gone && f.Ref == body.Ref { // a body never says that its record is gone
				continue
			}
			b.Facts = append(b.Facts, f)
			b.ReadAt[f.Ref] = max(b.ReadAt[f.Ref], body.ReadAt)
		}
		b.Rejected = append(b.Rejected, p.Rejected...)
	}
	return b, nil
}

func (e *Engine) redefineFailed(ctx context.Context, now time.Time, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	e.redef.failed++
	e.redef.pause = crm.At(now.Add(e.backoff(streamBackoff, streamLongest, e.redef.failed, redefineStream)))
	e.log.Info("normalising again failed", zap.Error(cause))
	_, err := e.shopFailed(ctx, now, cause, e.redef.failed >= attemptsToSeeFault)
	return err
}

// redefineRest asks for records of which no body is kept, a few at a time, and then ends the walk.
func (e *Engine) redefineRest(ctx context.Context, rules string, now time.Time) error {
	kinds := crm.Kinds()
	if e.redef.missing || e.redef.kind >= len(kinds) {
		return e.endRedefining(ctx, rules)
	}
	kind := kinds[e.redef.kind]
	ids, err := e.o.Mirror.Unsourced(ctx, e.shop.ID, kind, e.redef.id, rereadsAtOnce)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		e.redef.kind, e.redef.id = e.redef.kind+1, ""
		return nil
	}
	refs := make([]crm.Ref, len(ids))
	for i, id := range ids {
		refs[i] = crm.Ref{Kind: kind, ID: id}
	}
	e.redef.id = ids[len(ids)-1]
	return e.write(ctx, "sync.unsourced", func(tx *store.Tx) error {
		return e.o.Mirror.AddRedefined(ctx, tx, e.shop.ID, refs, crm.At(now))
	})
}

func (e *Engine) endRedefining(ctx context.Context, rules string) error {
	if err := e.write(ctx, "sync.rules", func(tx *store.Tx) error { return e.o.Mirror.SetRules(ctx, tx, e.shop.ID, rules) }); err != nil {
		return err
	}
	if e.redef.done > 0 {
		e.log.Info("everything stored is read by the new mapping")
	}
	e.shop.Rules, e.redef = rules, redefining{}
	return nil
}
