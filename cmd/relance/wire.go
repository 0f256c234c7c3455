package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
	"github.com/relance/relance/mailer/recommend"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/sync/engine"
	"github.com/relance/relance/sync/inbox"
	"github.com/relance/relance/sync/pushed"
)

// app is a configuration put to work on its database: every room made, none running yet.
type app struct {
	lasting
	cfg        *config.Config
	shops      []shopUnit // in the order of their names
	segments   []*rule.Segment
	maintainer *segments.Maintainer
	mailer     *mailer.Engine
	keys       mailer.Keys
	outboxes   map[string]*outbox.Outbox // by name of the audience; those that send for real have none
}

// lasting is what lives as long as the process, whatever the files say after a reload.
type lasting struct {
	log      *zap.Logger
	registry *prometheus.Registry
	meters   *meters
	db       *store.DB
	mirror   *mirror.Mirror
	leases   *store.Leases
	place    *place
	boxes    map[string]*outbox.Outbox // by folder: what was opened is kept
	options  appOptions
}

// meters are the metrics of every room, registered once.
type meters struct {
	engine   *engine.Metrics
	segments *segments.Metrics
	mailer   *mailer.Metrics
	picks    *recommend.Metrics
	inbox    *inbox.Metrics
	pushed   *pushed.Metrics
	web      *web.Metrics
	reload   *reloadMetrics
	events   *sendgrid.EventMetrics
}

// shopUnit is one shop and what reads it.
type shopUnit struct {
	mirror.Shop
	source connectors.Source // nil for a shop that only sends (push)
	engine *engine.Engine    // nil with it
}

// appOptions are what run, sync and the demo do differently.
type appOptions struct {
	log       *zap.Logger
	now       func() time.Time         // business time
	wall      func() time.Time         // real time; nil = the machine's
	transport http.RoundTripper        // to shops and providers; nil = the machine's network
	progress  func(engine.Progress)    // may be nil
	freshness time.Duration            // mailer.EngineOptions.Freshness; 0 = its own
	every     map[string]time.Duration // overrides of how often streams are read; nil in production
	only      string                   // one shop, by name; "" = all
}

// openDatabase opens and migrates the database of a configuration. A new SQLite file, with all the people in it, is
// made for this user's eyes only.
func openDatabase(ctx context.Context, cfg *config.Config) (*store.DB, error) {
	if path, ok := strings.CutPrefix(cfg.Database, "sqlite:"); ok {
		if f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600); err == nil { // else it is there, or store.Open says what is wrong
			if err := f.Close(); err != nil {
				return nil, fmt.Errorf("making the database file: %w", err)
			}
		}
	}
	db, err := store.Open(ctx, store.Options{DSN: cfg.Database})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// openApp makes every room on an opened database. It stores audiences and shops, and definitions only when somebody
// calls the rooms' Deploy. The caller closes db.
func openApp(ctx context.Context, cfg *config.Config, db *store.DB, o appOptions) (*app, error) {
	registry := prometheus.NewRegistry()
	where, err := openPlace(ctx, db, witnessOf(db, cfg.Keys.File), o.wall)
	if err != nil {
		return nil, err
	}
	l := lasting{
		log: o.log, registry: registry, db: db, place: where, mirror: mailer.NewMirror(db), leases: store.NewLeases(db, ownerName(), leaseTTL),
		boxes: map[string]*outbox.Outbox{}, options: o, meters: &meters{
			engine: engine.NewMetrics(registry), segments: segments.NewMetrics(registry), mailer: mailer.NewMetrics(registry), picks: recommend.NewMetrics(registry),
			inbox: inbox.NewMetrics(registry), pushed: pushed.NewMetrics(registry), web: web.NewMetrics(registry, versionOf()), reload: newReloadMetrics(registry),
			events: sendgrid.NewEventMetrics(registry),
		},
	}
	return l.app(ctx, cfg)
}

// app makes every room for a configuration: first what can be made without writing anything, so that files which cannot
// work change nothing.
func (l lasting) app(ctx context.Context, cfg *config.Config) (*app, error) {
	a := &app{lasting: l, cfg: cfg, outboxes: map[string]*outbox.Outbox{}}
	var err error
	if a.segments, err = compileSegments(cfg.Segments); err != nil {
		return nil, err
	}
	sources, err := a.openSources()
	if err != nil {
		return nil, err
	}
	if err := a.refuseMoves(ctx); err != nil {
		return nil, err
	}
	if a.keys, err = openKeys(ctx, l.db, cfg.Keys, time.Now()); err != nil {
		return nil, err
	}
	senders, err := a.senders(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.openShops(ctx, sources); err != nil {
		return nil, err
	}
	o := l.options
	a.maintainer = segments.NewMaintainer(a.mirror, a.leases, a.segments, segments.Options{
		Log: l.log.Named("segments"), Metrics: l.meters.segments, Wall: o.wall, Used: uses(cfg.Campaigns), Listening: mailer.Listening,
		Told: mailer.TellWorth(a.mirror),
	})
	a.mailer = mailer.NewEngine(a.mirror, a.leases, mailer.EngineOptions{
		Renderer: cfg.Templates, Senders: senders, PublicURL: cfg.PublicURL, Keys: a.keys, Secrets: mailer.SecretsOf(cfg.Campaigns), Freshness: o.freshness,
		Evaluate: evaluator(a.segments), Needs: needsOf(a.segments, uses(cfg.Campaigns)), Metrics: l.meters.mailer, Log: l.log.Named("mailer"), Wall: o.wall,
		EventsKept: cfg.Retention.Events, SendingAllowed: l.place.allowed,
	})
	return a, nil
}

// ownerName is unique to this start of the process.
func ownerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%.40s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

// senders stores the audiences and makes what sends their mails, by audience id.
func (a *app) senders(ctx context.Context) (map[int64]mailer.Sender, error) {
	out := map[int64]mailer.Sender{}
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Audiences)) {
		c := a.cfg.Audiences[name]
		limit, err := mailer.ParseCap(c.Cap)
		if err != nil {
			return nil, fmt.Errorf("reading the cap of audience %s: %w", name, err)
		}
		windows, err := c.Attribution.Windows()
		if err != nil {
			return nil, fmt.Errorf("reading the attribution of audience %s: %w", name, err)
		}
		s := mailer.Sender{Audience: name, FromEmail: c.From, FromName: c.FromName, ReplyTo: c.ReplyTo, PostalAddress: c.PostalAddress, Cap: limit, Windows: windows}
		if s.Provider = providerOf(c, a.options.transport); s.Provider != nil {
			if c.Provider == "sendgrid" && c.SendGrid.WebhookKey != "" {
				s.Events = sendgrid.Source
			}
		} else {
			box, err := a.outbox(c.Outbox.Dir)
			if err != nil {
				return nil, err
			}
			s.Provider, a.outboxes[name] = box, box
		}
		id, err := a.mirror.EnsureAudience(ctx, name, c.Title)
		if err != nil {
			return nil, err
		}
		out[id] = s
	}
	return out, nil
}

// outbox opens a folder once per process: requests under way may still read in it when the files change.
func (l lasting) outbox(dir string) (*outbox.Outbox, error) {
	if box := l.boxes[dir]; box != nil {
		return box, nil
	}
	box, err := outbox.New(dir)
	if err == nil {
		l.boxes[dir] = box
	}
	return box, err
}

// names lists the shops that this process works on.
func (a *app) names() []string {
	if a.options.only != "" {
		return []string{a.options.only}
	}
	return slices.Sorted(maps.Keys(a.cfg.Shops))
}

// openSources makes the connectors, by shop; it asks nothing of the shops.
func (a *app) openSources() (map[string]connectors.Source, error) {
	out := map[string]connectors.Source{}
	for _, name := range a.names() {
		source, err := openSource(a.cfg, name, a.options)
		if err != nil {
			return nil, err
		}
		out[name] = source
	}
	return out, nil
}

// refuseMoves refuses what a shop can never become: another company's, or one of another platform, whose numbers would
// name other people and orders.
func (a *app) refuseMoves(ctx context.Context) error {
	for _, name := range a.names() {
		c := a.cfg.Shops[name]
		stored, err := a.mirror.ShopByName(ctx, name)
		if errors.Is(err, mirror.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		switch {
		case stored.Audience != c.Audience:
			return moved(name, "audience", "its customers belong to the audience "+stored.Audience+" already")
		case stored.Platform != c.Platform:
			return moved(name, "platform", "its records come from "+stored.Platform+" already")
		}
	}
	return nil
}

func moved(shop, what, why string) error {
	return &fault.Error{Class: fault.Operator, Op: "changing the " + what + " of shop " + shop, Err: errors.New(why), Hint: "Give it a new file, and so a new name: a name is for ever"}
}

func (a *app) openShops(ctx context.Context, sources map[string]connectors.Source) error {
	o := a.options
	for _, name := range a.names() {
		shop, err := a.mirror.EnsureShop(ctx, specOf(name, a.cfg.Shops[name]))
		if err != nil {
			return err
		}
		unit := shopUnit{Shop: shop, source: sources[name]}
		if unit.source == nil {
			if err := pushed.MakeKnown(ctx, a.mirror, shop.ID, o.now()); err != nil {
				return err
			}
		} else {
			unit.engine = engine.New(engine.Options{
				Mirror: a.mirror, Leases: a.leases, Shop: shop, Source: unit.source, Log: a.log.Named("sync"),
				Metrics: a.meters.engine, Progress: o.progress, Now: o.now, Wall: o.wall, HookURL: hookURL(a.cfg, name), MayAct: a.place.mayAct,
			})
		}
		a.shops = append(a.shops, unit)
	}
	return nil
}

func specOf(name string, c config.Shop) mirror.ShopSpec {
	return mirror.ShopSpec{
		Name: name, Audience: c.Audience, Platform: c.Platform, Title: c.Title, Address: c.Address(),
		Zone: c.Zone, Locale: c.Locale, Basis: c.Basis,
	}
}

func compileSegments(f rule.File) ([]*rule.Segment, error) {
	out, problems := rule.CompileAll(f)
	if len(problems) > 0 {
		return nil, fmt.Errorf("compiling segments: %s: %s", problems[0].Path, problems[0].Message)
	}
	return out, nil
}

// uses tells which campaigns use each segment.
func uses(campaigns mailer.CampaignFile) map[string][]string {
	out := map[string][]string{}
	for _, id := range slices.Sorted(maps.Keys(campaigns)) {
		if segment := mailer.TriggerSegment(id, campaigns[id]); segment != "" {
			out[segment] = append(out[segment], id)
		}
	}
	return out
}

// needsOf is what profiles must hold to evaluate the segments that campaigns use.
func needsOf(defs []*rule.Segment, used map[string][]string) crm.Needs {
	var n crm.Needs
	for _, s := range defs {
		if used[s.ID] != nil {
			n = rule.Union(n, s.Needs())
		}
	}
	return n
}

// evaluator answers the gate's last question by the definitions in force. A segment that is gone matches nobody.
func evaluator(defs []*rule.Segment) func(p *crm.Profile, segment string, t crm.Instant) (bool, error) {
	byID := map[string]*rule.Segment{}
	for _, s := range defs {
		byID[s.ID] = s
	}
	return func(p *crm.Profile, segment string, t crm.Instant) (bool, error) {
		s, ok := byID[segment]
		return ok && s.Match(p, t), nil
	}
}
