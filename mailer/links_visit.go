package mailer

import (
	"context"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// Visit is one request for a redirect link.
type Visit struct {
	UserAgent string
	IP        string
	Machine   bool   // it only looked (HEAD, fetching ahead): no person followed the link
	Reason    string // what showed it: ByHead
}

// id is the same for a reload: one program follows one link once a minute. A scanner that was there a moment before a
// person has a name of its own.
func (c Click) id(v Visit, now crm.Instant) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(v.UserAgent))
	who := strconv.FormatUint(uint64(h.Sum32()), 36)
	if v.Machine {
		who = "-"
	}
	minute := int64(now) / time.Minute.Milliseconds()
	return strings.Join([]string{number(c.SendID), number(c.Link), number(minute), who}, ".")
}

// RecordClick stores that a link was followed. now is business time. Nothing is stored for a mail that is no longer in the
// ledger, and that is no error. Called by the public listener.
func RecordClick(ctx context.Context, m *mirror.Mirror, c Click, v Visit, now crm.Instant) error {
	var audiences []int64
	if err := m.DB().Read().SelectContext(ctx, &audiences, "SELECT audience_id FROM sends WHERE id=?", c.SendID); err != nil {
		return fmt.Errorf("finding the mail of a click: %w", err)
	}
	if len(audiences) == 0 {
		return nil
	}
	e := ProviderEvent{
		ID: c.id(v, now), Source: SourceOwn, Kind: EventClicked, SendID: SendID(c.SendID), At: now,
		URL: c.recorded(), UserAgent: v.UserAgent, IP: v.IP, Machine: v.Machine, Reason: v.Reason,
	}
	if _, err := RecordEvents(ctx, m, audiences[0], []ProviderEvent{e}, now); err != nil {
		return fmt.Errorf("recording a click: %w", err)
	}
	return nil
}

// recorded is the address without what opens somebody's page.
func (c Click) recorded() string {
	token, ours := strings.CutPrefix(c.Target, landingPath)
	switch {
	case !ours:
		return c.Target
	case strings.HasPrefix(token, string(forCart)+"."):
		return "relance:cart"
	}
	return "relance:landing"
}
