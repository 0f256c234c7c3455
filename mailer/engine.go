package mailer

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// EngineOptions are what an Engine needs beside the database. Which campaigns run is not among them: the database
// says so (Deploy, Arm), to every process alike.
type EngineOptions struct {
	Renderer  Renderer
	Senders   map[int64]Sender // by audience id
	PublicURL string           // https address of the public listener, without a slash at the end; "" = none
	Keys      Keys
	// Freshness is how old the read of a shop may be that a mail relies on, in business time; 0 = 60 s.
	Freshness time.Duration
	// Parallel bounds the mails under way at once; 0 = 256.
	Parallel int
	// SendingAllowed, when set, is asked at every step; an error keeps every mail back (a copied database).
	SendingAllowed func() error
	// Secrets sign the calls of web services, by "<campaign>/<step>": see SecretsOf. They are not in the database.
	Secrets map[string]string
	// EventsKept is how long events of providers are kept as they came, in business time; 0 = 30 days. Facts stay.
	EventsKept time.Duration
	Needs      crm.Needs // of the segments that Evaluate may be asked about
	// Evaluate tells whether a contact belongs to a segment by the definition in force, from its profile alone.
	Evaluate func(p *crm.Profile, segment string, t crm.Instant) (bool, error)
	Metrics  *Metrics
	Log      *zap.Logger
	Wall     func() time.Time // real time; nil = time.Now
}

// Engine moves enrolments and sends of the lanes that this process holds. One goroutine calls Step.
type Engine struct {
	mirror *mirror.Mirror
	db     *store.DB
	leases *store.Leases
	o      EngineOptions

	defs      map[string]cachedDef
	zones     map[string]*time.Location // by name: each is a file to be read
	unsettled []handed                  // answers of the provider whose transaction failed: written at the next step
	breakers  breakers                  // per audience
	paces     *paces                    // per audience
	gaugesAt  time.Time                 // real time of the last count of rows
	judgedAt  crm.Instant               // when splits were last judged
	services  services                  // of calls that could not be reached
	watchedAt crm.Instant               // when campaigns were last judged by what came back
	unknownAt crm.Instant               // when mails of which nobody knows were last looked at
	prunedAt  crm.Instant               // when events were last found pruned
	sweptAt   crm.Instant               // when verdicts on facts were last found swept
	pools     pools
	lifts     lifts
	status    status
}

type cachedDef struct {
	generation int64
	campaign   *campaign
}

const (
	standardFreshness = time.Minute
	standardParallel  = 256
	// handWindow is how long a mail may take from its commit as handing to the last byte of the answer. It is
	// shorter than 30 s and than any lease: whoever takes over a lane finds every handing row decided.
	handWindow = 20 * time.Second
	idleWait   = time.Second // how long a step that found nothing sleeps at most, for work of other processes and pages
)

// NewEngine makes an Engine.
func NewEngine(m *mirror.Mirror, l *store.Leases, o EngineOptions) *Engine {
	if o.Freshness == 0 {
		o.Freshness = standardFreshness
	}
	if o.Parallel == 0 {
		o.Parallel = standardParallel
	}
	if o.EventsKept == 0 {
		o.EventsKept = standardEventsKept
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	o.PublicURL = strings.TrimSuffix(o.PublicURL, "/")
	o.Needs = rule.Union(o.Needs, crm.Needs{Orders: true, Lines: true, Moments: true, Carts: true, Consents: true}) // what the gate itself looks at
	return &Engine{mirror: m, db: m.DB(), leases: l, o: o, defs: map[string]cachedDef{}, zones: map[string]*time.Location{}, breakers: breakers{}, services: services{}, paces: newPaces(o.Senders, o.Parallel)}
}

// pass is what one Step knows: it is read at the step's beginning and thrown away at its end.
type pass struct {
	now        crm.Instant
	lanes      []int
	campaigns  map[string]running
	shops      map[int64]mirror.Shop
	fresh      map[int64]mirror.Freshness // by shop, filled as it is asked
	won        map[[2]string]string       // winners of splits, by campaign and step
	wake       crm.Instant                // when a broadcast goes on, 0 = none does soon
	undigested bool                       // an event that stops mail may wait: nothing is sent
}

// running is an active campaign.
type running struct {
	*campaign
	state      string
	reason     string // why it is paused
	generation int64
	armedAt    crm.Instant
	armed      map[int64]crm.Instant // by shop
}

// Step takes entries of segments into campaigns, moves enrolments that are due, and sends what the gate lets pass.
// It implements loop.Step: now is business time; it returns once every mail that it handed over is settled.
func (e *Engine) Step(ctx context.Context, now time.Time) (next time.Time, worked bool, err error) {
	p, err := e.begin(ctx, crm.At(now))
	if err != nil {
		return now.Add(idleWait), false, err
	}
	if len(p.lanes) == 0 {
		return now.Add(idleWait), false, nil
	}
	var errs []error
	for _, phase := range []func(context.Context, *pass) (bool, error){e.settleLeftovers, e.recover, e.depart, e.digest, e.settleUnknown, e.touched, e.broadcast, e.feed, e.judgeSplits, e.advance, e.fillPools, e.watch, e.send, e.callOut, e.pruneEvents, e.attribute, e.compareHoldouts} {
		did, err := phase(ctx, p)
		worked = worked || did
		if errors.Is(err, store.ErrLost) { // somebody else has the lane now: what was to be done is theirs
			return now.Add(idleWait), false, nil
		}
		if err != nil {
			errs = append(errs, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	e.gauges(ctx, p)
	if len(errs) > 0 {
		return now.Add(idleWait), false, errors.Join(errs...)
	}
	if worked {
		return now, true, nil
	}
	return e.next(ctx, p), false, nil
}

// begin reads campaigns, shops and arms the shops whose backfill has ended since.
func (e *Engine) begin(ctx context.Context, now crm.Instant) (*pass, error) {
	p := e.newPass(now)
	if len(p.lanes) == 0 {
		return p, nil
	}
	shops, err := e.read(ctx, p)
	if err != nil {
		return nil, err
	}
	for id, r := range p.campaigns {
		if err := e.armLate(ctx, &r, shops); err != nil {
			return nil, err
		}
		p.campaigns[id] = r
	}
	p.won, err = winners(ctx, e.db.Read(), p.campaigns)
	return p, err
}

func (e *Engine) newPass(now crm.Instant) *pass {
	return &pass{now: now, lanes: lanesHeld(e.leases.Held()), campaigns: map[string]running{}, shops: map[int64]mirror.Shop{}, fresh: map[int64]mirror.Freshness{}}
}

// read fills a pass with the campaigns and shops as they are.
func (e *Engine) read(ctx context.Context, p *pass) ([]mirror.Shop, error) {
	var rows []campaignRow
	if err := e.db.Read().SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns"); err != nil {
		return nil, fmt.Errorf("reading campaigns: %w", err)
	}
	armed, err := armedShops(ctx, e.db.Read())
	if err != nil {
		return nil, err
	}
	shops, err := e.mirror.Shops(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing shops: %w", err)
	}
	for _, s := range shops {
		p.shops[s.ID] = s
	}
	for _, row := range rows {
		def, err := e.def(ctx, row)
		if err != nil {
			return nil, err
		}
		r := running{campaign: def, state: row.State, reason: row.Reason, generation: row.Generation, armedAt: row.ArmedAt, armed: armed[row.Campaign]}
		p.campaigns[row.Campaign] = r
	}
	return shops, nil
}

func (e *Engine) def(ctx context.Context, row campaignRow) (*campaign, error) {
	if d, ok := e.defs[row.Campaign]; ok && d.generation == row.Generation {
		return d.campaign, nil
	}
	c, err := definition(ctx, e.db.Read(), row.Campaign, row.Generation)
	if err != nil {
		return nil, err
	}
	e.defs[row.Campaign] = cachedDef{generation: row.Generation, campaign: c}
	return c, nil
}

// zone is where a contact lives.
func (e *Engine) zone(c crm.Contact) *time.Location {
	loc, ok := e.zones[c.Zone]
	if !ok {
		loc = c.Location()
		e.zones[c.Zone] = loc
	}
	return loc
}

// armLate arms the shops of an armed campaign whose backfill ended after the campaign was armed.
func (e *Engine) armLate(ctx context.Context, r *running, shops []mirror.Shop) error {
	late := false
	for _, s := range shops {
		late = late || r.state != CampaignDraft && s.Audience == r.audience && s.BackfilledAt > 0 && r.armed[s.ID] == 0
	}
	if !late {
		return nil
	}
	err := e.db.Write(ctx, "mailer.shops", func(tx *store.Tx) error { return armShops(ctx, tx, r.campaign, r.armedAt, shops, r.armed) })
	if err != nil {
		return fmt.Errorf("arming shops for campaign %s: %w", r.id, err)
	}
	armed, err := armedShops(ctx, e.db.Read())
	r.armed = armed[r.id]
	return err
}

func lanesHeld(names []string) []int {
	var lanes []int
	for _, name := range names {
		if n, ok := strings.CutPrefix(name, "lane:"); ok {
			if lane, err := strconv.Atoi(n); err == nil {
				lanes = append(lanes, lane)
			}
		}
	}
	return lanes
}

// fence is the first statement of every deciding transaction: the lanes of the rows that it moves.
func (e *Engine) fence(ctx context.Context, tx *store.Tx, lanes []int) error {
	seen := map[int]bool{}
	var names []string
	for _, l := range lanes {
		if !seen[l] {
			seen[l] = true
			names = append(names, store.LaneLease(l))
		}
	}
	return e.leases.Fence(ctx, tx, names...)
}

// next is when something of ours is due, at most idleWait ahead (bounded, so that it reads few rows however many wait).
func (e *Engine) next(ctx context.Context, p *pass) time.Time {
	horizon := p.now.Add(idleWait)
	var due crm.Instant
	err := selectOneIn(ctx, e.db.Read(), &due, `SELECT COALESCE(MIN(due), 0) FROM (
 SELECT MIN(until_at) AS due FROM sends WHERE lane IN (?) AND state IN ('ready','deferred') AND until_at>? AND until_at<=?
 UNION ALL SELECT MIN(due_at) AS due FROM touches WHERE lane IN (?) AND due_at>? AND due_at<=?
 UNION ALL SELECT MIN(due_at) AS due FROM worth_marks WHERE lane IN (?) AND due_at>? AND due_at<=?
 UNION ALL SELECT MIN(due_at) AS due FROM enrolments WHERE lane IN (?) AND state='active' AND due_at>? AND due_at<=?) AS dues`,
		p.lanes, p.now, horizon, p.lanes, p.now, horizon, p.lanes, p.now, horizon, p.lanes, p.now, horizon)
	if p.wake > 0 && (due == 0 || p.wake < due) {
		due = min(p.wake, horizon)
	}
	if err != nil || due == 0 {
		return horizon.Time()
	}
	return due.Time()
}
