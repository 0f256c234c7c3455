package segments

import (
	"context"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// AuditOptions of an Auditor; all may be left out.
type AuditOptions struct {
	Log     *zap.Logger
	Metrics *Metrics
	Wall    func() time.Time // real time, for the pace
	Pause   time.Duration    // real time between two pages; 0 = 5 s: half a percent of one core
	Speed   func() int64     // of business time; nil = that of life
}

// Auditor is Verify as slow work in the background: a page of contacts at a time, a pass over all of them at most once
// in 24 hours of business time. It reads only, and looks at the contacts in the lanes that this process holds. What it
// finds it says, and leaves as it is: a difference is a defect, and mending it would hide it. Not safe for concurrent use.
type Auditor struct {
	mirror *mirror.Mirror
	leases *store.Leases
	o      AuditOptions

	setup  *setup
	report Report
	after  int64     // the last contact, or member, that was looked at
	slot   int       // -1 while contacts are looked at; then the slot whose members are
	began  time.Time // of the pass, business time; zero between two
	paged  time.Time // of the last page, real time
	next   time.Time // when the next pass may begin, business time
}

const (
	auditPause = 5 * time.Second
	auditEvery = 24 * time.Hour
)

// NewAuditor makes one; leases are the maintainer's.
func NewAuditor(m *mirror.Mirror, l *store.Leases, o AuditOptions) *Auditor {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Pause == 0 {
		o.Pause = auditPause
	}
	if o.Speed == nil {
		o.Speed = func() int64 { return 1 }
	}
	return &Auditor{mirror: m, leases: l, o: o}
}

// Step looks at one page. It never asks to be run again at once.
func (a *Auditor) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	pause := a.o.Pause * time.Duration(a.o.Speed())
	lanes := heldLanes(a.leases)
	if now.Before(a.next) || len(lanes) == 0 || a.o.Wall().Sub(a.paged) < a.o.Pause {
		return now.Add(pause), false, nil
	}
	a.paged = a.o.Wall()
	setup, err := readSetup(ctx, a.mirror.DB().Read(), a.setup)
	if err != nil {
		return now, false, err
	}
	if a.began.IsZero() || setup != a.setup { // what was counted so far says nothing of other definitions
		a.setup, a.report, a.after, a.slot, a.began = setup, Report{}, 0, -1, now
	}
	a.report.At = crm.At(now)
	before := a.report.Contacts
	done, err := a.page(ctx, lanes)
	if err != nil {
		return now, false, err
	}
	a.tell(a.report.Contacts-before, done)
	if done {
		a.next, a.began = a.began.Add(auditEvery), time.Time{}
	}
	return now.Add(pause), false, nil
}

// page looks at the next contacts, then, segment by segment, at members to whom nothing refers any more.
func (a *Auditor) page(ctx context.Context, lanes []int) (done bool, err error) {
	q := a.mirror.DB().Read()
	ours := func(id int64) bool { return slices.Contains(lanes, crm.LaneOf(id)) }
	if a.slot < 0 {
		ids, err := a.mirror.ContactIDs(ctx, q, a.after, batchSize)
		if err != nil {
			return false, err
		}
		if len(ids) == 0 {
			a.slot, a.after = 0, 0
			return len(a.setup.slots) == 0, nil
		}
		a.after = ids[len(ids)-1]
		return false, a.report.page(ctx, a.mirror, a.setup, slices.DeleteFunc(ids, func(id int64) bool { return !ours(id) }))
	}
	sl := a.setup.slots[a.slot]
	var ms []Member
	if sl.state == StateLive {
		if ms, err = Members(ctx, q, sl.segment, a.after, batchSize); err != nil {
			return false, err
		}
	}
	if len(ms) == 0 {
		a.slot, a.after = a.slot+1, 0
		return a.slot == len(a.setup.slots), nil
	}
	var ids []int64
	for _, x := range ms {
		if a.after = x.ContactID; ours(x.ContactID) {
			ids = append(ids, x.ContactID)
		}
	}
	if ids == nil {
		return false, nil
	}
	return false, a.report.lifeless(ctx, a.mirror, a.setup, ids)
}

// tell keeps the metrics, and logs each difference once.
func (a *Auditor) tell(contacts int64, done bool) {
	a.o.Metrics.audited(contacts, len(a.report.Differences), done)
	if !done {
		return
	}
	for _, d := range a.report.Differences[:min(len(a.report.Differences), 10)] {
		a.o.Log.Error("a membership differs from what its definition says; please report this",
			zap.Int64("contact", d.ContactID), zap.String("segment", d.Segment), zap.Bool("stored", d.Stored), zap.Bool("computed", d.Computed), zap.String("detail", d.Detail))
	}
	a.o.Log.Debug("segments audited", zap.Int64("contacts", a.report.Contacts), zap.Int64("memberships", a.report.Memberships),
		zap.Int64("unsettled", a.report.Unsettled), zap.Int("differences", len(a.report.Differences)))
}
