package yeartest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
)

// house is the installation: the processes on one database.
type house struct {
	*world
	keys      mailer.Keys
	processes []*process
	acting    *process
	starts    int
	awayUntil time.Time // nothing runs until then
	hurried   int       // looks within a short while
}

// process is one start of the program, or what is left of it.
type process struct {
	name       string
	lanes      []string
	leases     *store.Leases
	keeper     *segments.Maintainer
	identities *mirror.Identities
	engine     *mailer.Engine
	dead       bool
	frozen     time.Time // it does nothing until then
}

const mostSteps = 3000

func newHouse(w *world) *house {
	h := &house{world: w, keys: mailer.Keys{{ID: "k1", Secret: []byte("a secret of the year")}}}
	n := 1
	if w.percent(40) {
		n = 2
	}
	for i := range n {
		p := &process{}
		for lane := range crm.Lanes {
			if lane%n == i {
				p.lanes = append(p.lanes, store.LaneLease(lane))
			}
		}
		h.processes = append(h.processes, p)
		h.begin(p)
	}
	return h
}

// begin starts a process anew: all that it knows is in the database.
func (h *house) begin(p *process) {
	h.tb.Helper()
	h.starts++
	p.name, p.dead, p.frozen = fmt.Sprintf("process %d", h.starts), false, time.Time{}
	p.leases = store.NewLeases(h.db, p.name, 1000*time.Hour)
	h.expire(p.lanes)
	_, err := p.leases.Acquire(h.ctx, p.lanes...)
	h.must(err)
	p.keeper = segments.NewMaintainer(h.m, p.leases, h.defs, segments.Options{Listening: mailer.Listening, Told: mailer.TellWorth(h.m), Wall: h.wall})
	p.identities = mirror.NewIdentities(h.m, p.leases)
	p.engine = mailer.NewEngine(h.m, p.leases, h.options(h.provider.as(p.name)))
}

func (h *house) options(p mailer.Provider) mailer.EngineOptions {
	limit, err := mailer.ParseCap(senderCap)
	h.must(err)
	if h.mistake.NoCap {
		limit = mailer.Cap{}
	}
	byID := map[string]*rule.Segment{}
	var needs crm.Needs
	for _, s := range h.defs {
		byID[s.ID], needs = s, rule.Union(needs, s.Needs())
	}
	return mailer.EngineOptions{
		Renderer: h.renderer, PublicURL: "https://mail.example", Keys: h.keys, Parallel: 8, Wall: h.wall, Needs: needs,
		Senders: map[int64]mailer.Sender{h.audience: {
			FromEmail: "bonjour@boutique.example", FromName: "La Boutique", PostalAddress: "1 rue de la Paix, Paris", Provider: p, Events: "sendgrid", Cap: limit,
		}},
		Evaluate: func(p *crm.Profile, segment string, t crm.Instant) (bool, error) {
			s, ok := byID[segment]
			return ok && s.Match(p, t), nil
		},
	}
}

// expire lets leases run out, whoever holds them. Their time is the database's clock, which does not follow the year.
func (h *house) expire(names []string) {
	h.tb.Helper()
	h.write(func(tx *store.Tx) error {
		_, err := tx.ExecContext(h.ctx, "UPDATE leases SET until_ms=0 WHERE name IN ('"+strings.Join(names, "','")+"')")
		return err
	})
}

func (h *house) deploy() {
	h.tb.Helper()
	_, err := mailer.Deploy(h.ctx, h.m, h.campaigns, h.segments, h.at())
	h.must(err)
	h.must(h.processes[0].keeper.Deploy(h.ctx, h.now))
	h.live()
	h.armed = h.at()
	for id := range h.campaigns {
		_, err := mailer.Arm(h.ctx, h.m, id, h.armed)
		h.must(err)
	}
	h.tell("armed")
}

// due is when something that is stored is to be looked at, zero when nothing is.
func (h *house) due() time.Time {
	h.tb.Helper()
	if h.now.Before(h.awayUntil) {
		return h.awayUntil
	}
	var due crm.Instant
	h.must(h.db.Read().GetContext(h.ctx, &due, `SELECT COALESCE(MIN(due),0) FROM (
 SELECT MIN(until_at) AS due FROM sends WHERE state IN ('ready','deferred')
 UNION ALL SELECT MIN(due_at) AS due FROM touches
 UNION ALL SELECT MIN(due_at) AS due FROM segment_due
 UNION ALL SELECT MIN(due_at) AS due FROM provider_events WHERE state IN ('lookup','urgent','pending')
 UNION ALL SELECT MIN(hand_before) AS due FROM sends WHERE state='handing'
 UNION ALL SELECT MIN(due_at) AS due FROM enrolments WHERE state='active') AS dues`))
	if due == 0 || due >= crm.Never/2 {
		return time.Time{}
	}
	at := due.Time()
	if at.After(h.now.Add(2 * time.Minute)) {
		h.hurried = 0
		if h.percent(70) { // it is not always looked at that very moment
			at = at.Add(h.span(5 * time.Hour))
		}
		return at
	}
	// What is put off for seconds, again and again, is looked at now and then.
	if h.hurried++; h.hurried > 2 {
		return h.now.Add(time.Duration(5+h.pick(90)) * time.Minute)
	}
	if !at.After(h.now) {
		return h.now.Add(time.Second)
	}
	return at
}

// live lets the shops be read and every process do what there is to do now.
func (h *house) live() {
	h.tb.Helper()
	if h.now.Before(h.awayUntil) {
		return
	}
	for round := range 3 {
		for _, s := range h.shops {
			h.sync(s)
		}
		h.sabotage()
		for _, p := range h.processes {
			h.let(p)
		}
		h.judge.look()
		if !h.wanted() || round == 2 {
			break
		}
	}
	h.judge.settled()
}

// wanted tells whether somebody waits for a read of a shop that could be read.
func (h *house) wanted() bool {
	for _, s := range h.shops {
		var n int
		h.must(h.db.Read().GetContext(h.ctx, &n, "SELECT COUNT(*) FROM streams WHERE shop_id=? AND wanted_at>read_at", s.id))
		if n > 0 && h.readable(s) {
			s.lag = false
			h.now = h.now.Add(5 * time.Second)
			return true
		}
	}
	return false
}

// let lets one process work until it finds nothing.
func (h *house) let(p *process) {
	h.tb.Helper()
	if h.now.Before(p.frozen) {
		return
	}
	if p.dead {
		h.begin(p)
		h.tell("%s starts", p.name)
	}
	h.acting = p
	defer func() { h.acting = nil }()
	for _, step := range []func() (bool, error){
		func() (bool, error) { _, worked, err := p.identities.Step(h.ctx, h.now); return worked, err },
		func() (bool, error) { _, worked, err := p.keeper.Step(h.ctx, h.now); return worked, err },
		func() (bool, error) {
			h.report.Steps++
			_, worked, err := p.engine.Step(h.ctx, h.now)
			return worked, err
		},
	} {
		for n := 0; ; n++ {
			worked, err := step()
			if err != nil && !errors.Is(err, errStopped) {
				h.wrong("%s: %v", p.name, err)
			}
			if p.dead || err != nil {
				break
			}
			if !worked {
				break
			}
			if n > mostSteps {
				h.wrong("%s finds work for ever", p.name)
				return
			}
		}
		if p.dead {
			return
		}
	}
}

// commit is the database's fault point: now and then the machine stops there, or the commit fails and the process goes on.
func (w *world) commit(name, when string) error {
	if w.house == nil || w.house.acting == nil {
		return nil
	}
	p := w.house.acting
	if p.dead {
		return errStopped // it has not come so far
	}
	if w.storm == 0 || w.pick(1000) >= w.storm {
		return nil
	}
	switch w.pick(4) {
	case 0:
		w.tell("the commit of %s fails %s it", name, when)
		return errStopped
	case 1:
		w.tell("%s is held up %s the commit of %s", p.name, when, name)
		w.ahead += 25 * time.Second
		return nil
	}
	w.tell("%s stops %s the commit of %s", p.name, when, name)
	p.dead = true
	return errStopped
}

// mend ends every trouble.
func (h *house) mend() {
	h.awayUntil = time.Time{}
	for _, p := range h.processes {
		p.frozen = time.Time{}
	}
	for _, s := range h.shops {
		s.awayUntil, s.lag = time.Time{}, false
	}
	h.provider.mood, h.provider.moodUntil = moodWell, time.Time{}
}

// swap lets another process take some lanes over; whoever had them may not know yet.
func (h *house) swap() {
	if len(h.processes) < 2 {
		return
	}
	from := h.pick(2)
	a, b := h.processes[from], h.processes[1-from]
	if a.dead || b.dead || len(a.lanes) < 4 {
		return
	}
	n := 1 + h.pick(len(a.lanes)-1)
	moved := a.lanes[:n]
	h.expire(moved)
	got, err := b.leases.Acquire(h.ctx, append(append([]string{}, b.lanes...), moved...)...)
	h.must(err)
	if len(got) < len(b.lanes)+n {
		h.wrong("%s took %d leases of %d", b.name, len(got), len(b.lanes)+n)
	}
	b.lanes, a.lanes = append(append([]string{}, b.lanes...), moved...), append([]string{}, a.lanes[n:]...)
	frozen := ""
	switch h.pick(3) {
	case 0: // it learns of it when its fence fails
	case 1:
		a.frozen = h.now.Add(h.span(8 * time.Hour))
		frozen = ", who is frozen"
	default:
		_, err := a.leases.Acquire(h.ctx, append(append([]string{}, a.lanes...), moved...)...)
		h.must(err)
	}
	h.tell("%s takes %d lanes from %s%s", b.name, n, a.name, frozen)
	if frozen == "" {
		h.agenda.plan(h.now.Add(time.Minute+h.span(2*time.Hour)), func() { h.renew(a) })
		return
	}
	h.agenda.plan(a.frozen.Add(time.Minute), func() { h.renew(a) })
}

// renew is what a running process does every third of a lease: it learns what it still has.
func (h *house) renew(p *process) {
	if p.dead {
		return
	}
	p.dead = true // what it has lost it forgets; the next start has its own lanes alone
}
