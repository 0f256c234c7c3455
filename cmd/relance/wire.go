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
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/outbox"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/segments"
	"github.com/relance/relance/segments/rule"
	"github.com/relance/relance/sync/engine"
)

// app is a configuration put to work on its database: every room made, none running yet.
type app struct {
	cfg        *config.Config
	log        *zap.Logger
	registry   *prometheus.Registry
	db         *store.DB
	mirror     *mirror.Mirror
	leases     *store.Leases
	shops      []shopUnit // in the order of their names
	segments   []*rule.Segment
	maintainer *segments.Maintainer
	mailer     *mailer.Engine
	keys       mailer.Keys
	outboxes   map[string]*outbox.Outbox // by name of the audience; those that send for real have none
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
	a := &app{
		cfg: cfg, log: o.log, registry: prometheus.NewRegistry(), db: db, mirror: mirror.New(db),
		leases: store.NewLeases(db, ownerName(), leaseTTL), outboxes: map[string]*outbox.Outbox{},
	}
	senders, err := a.senders(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := a.openShops(ctx, o); err != nil {
		return nil, err
	}
	if a.segments, err = compileSegments(cfg.Segments); err != nil {
		return nil, err
	}
	if a.keys, err = openKeys(ctx, db, cfg.Keys, time.Now()); err != nil {
		return nil, err
	}
	a.maintainer = segments.NewMaintainer(a.mirror, a.leases, a.segments, segments.Options{
		Log: o.log.Named("segments"), Metrics: segments.NewMetrics(a.registry), Wall: o.wall,
	})
	a.mailer = mailer.NewEngine(a.mirror, a.leases, mailer.EngineOptions{
		Renderer: cfg.Templates, Senders: senders, PublicURL: cfg.PublicURL, Keys: a.keys, Freshness: o.freshness,
		Evaluate: evaluator(a.segments), Metrics: mailer.NewMetrics(a.registry), Log: o.log.Named("mailer"), Wall: o.wall,
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
func (a *app) senders(ctx context.Context, o appOptions) (map[int64]mailer.Sender, error) {
	out := map[int64]mailer.Sender{}
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Audiences)) {
		c := a.cfg.Audiences[name]
		id, err := a.mirror.EnsureAudience(ctx, name, c.Title)
		if err != nil {
			return nil, err
		}
		limit, err := mailer.ParseCap(c.Cap)
		if err != nil {
			return nil, fmt.Errorf("reading the cap of audience %s: %w", name, err)
		}
		s := mailer.Sender{FromEmail: c.From, FromName: c.FromName, ReplyTo: c.ReplyTo, PostalAddress: c.PostalAddress, Cap: limit}
		if c.Provider == "sendgrid" {
			s.Provider = sendgrid.New(c.SendGrid, o.transport)
		} else {
			box, err := outbox.New(c.Outbox.Dir)
			if err != nil {
				return nil, err
			}
			s.Provider, a.outboxes[name] = box, box
		}
		out[id] = s
	}
	return out, nil
}

func (a *app) openShops(ctx context.Context, o appOptions) error {
	metrics := engine.NewMetrics(a.registry)
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Shops)) {
		if o.only != "" && name != o.only {
			continue
		}
		c := a.cfg.Shops[name]
		shop, err := a.mirror.EnsureShop(ctx, specOf(name, c))
		if err != nil {
			return err
		}
		source, err := openSource(a.cfg, name, o)
		if err != nil {
			return err
		}
		unit := shopUnit{Shop: shop, source: source}
		if source != nil {
			unit.engine = engine.New(engine.Options{
				Mirror: a.mirror, Leases: a.leases, Shop: shop, Source: source, Log: o.log.Named("sync"),
				Metrics: metrics, Progress: o.progress, Now: o.now, Wall: o.wall,
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
	var out []*rule.Segment
	for _, id := range slices.Sorted(maps.Keys(f)) {
		s, err := rule.Compile(id, f[id])
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
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
