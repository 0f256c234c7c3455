package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/sync/engine"
)

// truth reads how far every shop is mirrored, for the page, for relance status and for relance doctor.
type truth struct {
	mirror *mirror.Mirror
	cfg    *config.Config
	now    crm.Instant
	speed  int64                               // of the clock; 1 in production
	source func(shop string) connectors.Source // nil for a shop that nothing is asked of
	eta    func(shop, stream string) time.Duration
}

// truthFromFiles is what a process knows that reads nothing itself.
func truthFromFiles(m *mirror.Mirror, cfg *config.Config, now crm.Instant) truth {
	return truth{mirror: m, cfg: cfg, now: now, speed: 1, eta: func(string, string) time.Duration { return 0 }, source: func(shop string) connectors.Source {
		source, err := openSource(cfg, shop, appOptions{})
		if err != nil { // it says so where it is opened to be read
			return nil
		}
		return source
	}}
}

// known is everything that the database says of a shop.
type known struct {
	shop    mirror.Shop
	counts  []mirror.Count
	streams []mirror.Stream
	tasks   []mirror.TaskRow
	last    crm.Instant // when the newest record came in
}

func (t truth) shops(ctx context.Context) ([]web.Shop, error) {
	stored, err := t.mirror.Shops(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]web.Shop, 0, len(stored))
	for _, s := range stored {
		k, err := t.read(ctx, s)
		if err != nil {
			return nil, err
		}
		out = append(out, t.line(k))
	}
	return out, nil
}

func (t truth) read(ctx context.Context, s mirror.Shop) (k known, err error) {
	k.shop = s
	if k.counts, err = t.mirror.Counts(ctx, s.ID); err != nil {
		return k, err
	}
	if k.streams, err = t.mirror.Streams(ctx, s.ID); err != nil {
		return k, err
	}
	if k.tasks, err = t.mirror.Tasks(ctx, s.ID); err != nil {
		return k, err
	}
	k.last, err = t.mirror.LastObserved(ctx, s.ID)
	return k, err
}

// line is a shop as people see it.
func (t truth) line(k known) web.Shop {
	s := k.shop
	line := web.Shop{
		Name: s.Name, Title: s.Title, Platform: s.Platform, Way: wayOf(s.Platform), Address: s.Address, Fault: s.Fault,
		BackfilledAt: s.BackfilledAt.Time(), HookAt: s.LastHookAt.Time(), BusyPercent: float64(s.BusyPPM) / 1e4,
		RecordAt: k.last.Add(-time.Duration(s.SkewMS) * time.Millisecond).Time(),
	}
	if k.last == 0 {
		line.RecordAt = time.Time{}
	}
	line.Progress = t.underWay(k)
	every := t.intervals(s.Name)
	for _, c := range k.counts {
		line.Kinds = append(line.Kinds, t.kind(c, k, every))
	}
	t.lag(&line, k.streams)
	for _, task := range k.tasks {
		if mend := taskMend(task); mend != "" {
			line.Tasks = append(line.Tasks, web.Task{Kind: task.Kind, Mend: mend})
		}
	}
	line.Trouble = t.trouble(k, line)
	return line
}

func wayOf(platform string) string {
	switch platform {
	case config.Push:
		return web.WayPush
	case mirror.PlatformImport:
		return web.WayImport
	default:
		return web.WayRead
	}
}

// kind counts one kind and says how old its newest complete read is.
func (t truth) kind(c mirror.Count, k known, every map[string]time.Duration) web.Kind {
	line := web.Kind{Kind: plural(c.Kind), Source: -1, Mirrored: c.Mirrored, Quarantined: c.Quarantined, Erased: c.Erased, LagSeconds: -1}
	var oldest crm.Instant
	first := true
	for _, s := range k.streams {
		if s.Kind != c.Kind || s.Part {
			continue
		}
		line.Source = c.Source
		if s.Mode == connectors.ModeIDs {
			continue
		}
		if first || s.ReadAt < oldest {
			oldest, first = s.ReadAt, false
		}
		line.Late = line.Late || t.late(s, every[s.Stream])
	}
	if oldest > 0 {
		line.ReadAt, line.LagSeconds = oldest.Time(), max(float64(t.now-oldest)/1000, 0)
	}
	return line
}

// late: a stream that was read once should have been read again by now, twice over.
func (t truth) late(s mirror.Stream, every time.Duration) bool {
	return every > 0 && s.ReadAt > 0 && t.now > s.ReadAt.Add(2*every+5*time.Minute*time.Duration(t.speed))
}

// lag goes by the slowest of the streams that read changes; crawls and lists of ids are slow by design.
func (t truth) lag(line *web.Shop, streams []mirror.Stream) {
	var oldest crm.Instant
	for _, s := range streams {
		if s.Mode != connectors.ModeDelta {
			continue
		}
		if s.ReadAt == 0 {
			return
		}
		if oldest == 0 || s.ReadAt < oldest {
			oldest = s.ReadAt
		}
	}
	if oldest > 0 {
		line.ReadAt, line.LagSeconds = oldest.Time(), max(float64(t.now-oldest)/1000, 0)
	}
}

// underWay are the streams that are being read for the first time.
func (t truth) underWay(k known) []web.Progress {
	var out []web.Progress
	for _, s := range k.streams {
		running, done, total := engine.Where(s.Cursor)
		if !running || s.BackfilledAt > 0 || s.Mode == connectors.ModeIDs {
			continue
		}
		left := t.eta(k.shop.Name, s.Stream)
		if took := time.Duration(t.now-s.RunStartedAt) * time.Millisecond; left == 0 && done > 0 && total > done && t.speed == 1 {
			left = took * time.Duration(total-done) / time.Duration(done) // as it went so far
		}
		out = append(out, web.Progress{Stream: s.Stream, Done: int64(done), Total: int64(max(total, 0)), ETASeconds: left.Round(time.Second).Seconds()})
	}
	return out
}

// intervals are how often the streams of a shop are read.
func (t truth) intervals(shop string) map[string]time.Duration {
	out := map[string]time.Duration{}
	if source := t.source(shop); source != nil {
		for _, s := range source.Streams() {
			out[s.Name] = s.Every
		}
	}
	return out
}

// taskMend is what the owner has to do for a task, or "".
func taskMend(t mirror.TaskRow) string {
	switch {
	case t.Mend != "":
		return t.Mend
	case t.State == mirror.TaskParked && t.Kind == connectors.TaskUnsubscribe:
		return fmt.Sprintf("Account %s unsubscribed here and could not be unsubscribed in the shop: %s.", t.Key, t.Error)
	case t.State == mirror.TaskParked:
		return fmt.Sprintf("%s could not be done in the shop: %s.", t.Kind, t.Error)
	}
	return ""
}

const mostSkew = 5 * time.Minute

// trouble is the first thing to look at, beside tasks: what keeps the shop from being read, then what makes the mirror less than it
// could be, then what passes by itself.
func (t truth) trouble(k known, line web.Shop) *web.Trouble {
	s := k.shop
	skew := (time.Duration(s.SkewMS) * time.Millisecond).Round(time.Second)
	failing := slices.IndexFunc(k.streams, func(s mirror.Stream) bool { return s.Attempts > 0 && s.Error != "" })
	late := slices.IndexFunc(line.Kinds, func(k web.Kind) bool { return k.Late })
	held := slices.IndexFunc(line.Kinds, func(k web.Kind) bool { return k.Quarantined > 0 })
	_, inFiles := t.cfg.Shops[s.Name]
	switch {
	case !inFiles && line.Way != web.WayImport:
		return &web.Trouble{What: "This shop is no longer in the files: nothing is read from it.", Mend: "Bring shops/" + s.Name + ".yaml back, or leave it: what was mirrored stays."}
	case s.Fault != "":
		return &web.Trouble{What: s.Fault}
	case skew > mostSkew || skew < -mostSkew:
		return &web.Trouble{What: fmt.Sprintf("The shop's clock is %s off this machine's: nothing is sent.", skew), Mend: "Set both clocks by NTP."}
	case failing >= 0:
		f := k.streams[failing]
		return &web.Trouble{What: fmt.Sprintf("Reading %s fails: %s", f.Stream, f.Error), Mend: "It is tried again by itself; relance check asks the shop now.", Mild: f.Attempts < 5}
	case held >= 0:
		h := line.Kinds[held]
		return &web.Trouble{
			What: fmt.Sprintf("%d of the %s cannot be understood and %s in quarantine; the rest goes on.", h.Quarantined, h.Kind, map[bool]string{true: "is", false: "are"}[h.Quarantined == 1]),
			Mend: "relance quarantine list " + s.Name + " says why.", Mild: true,
		}
	case late >= 0:
		return &web.Trouble{What: "The " + line.Kinds[late].Kind + " have not been read for longer than they should.", Mend: "Is relance run at work? relance doctor " + s.Name + " shows more."}
	}
	return nil
}
