package mirror

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// mailEvents begin the names of what contacts did with mails, and of what became of them.
const mailEvents = "mail."

// mailsOf gives, per contact, events of the names (crm.AllEvents: of every one), oldest first.
type mailsOf func(ctx context.Context, q store.Queryer, ids []int64, names []string) (map[int64][]crm.ProfileEvent, error)

// TellMails says where profiles learn what became of mails: the mailer, which lies above, knows. Call it before the
// mirror is used.
func (m *Mirror) TellMails(of mailsOf) { m.mails = of }

// addMails puts what became of mails among the events of the profiles.
func (m *Mirror) addMails(ctx context.Context, q store.Queryer, ids []int64, profiles map[int64]*crm.Profile, names []string) error {
	asked := slices.ContainsFunc(names, func(n string) bool { return n == crm.AllEvents || strings.HasPrefix(n, mailEvents) })
	if m.mails == nil || !asked {
		return nil
	}
	found, err := m.mails(ctx, q, ids, names)
	if err != nil {
		return fmt.Errorf("loading profiles: %w", err)
	}
	for id, events := range found {
		p := profiles[id]
		if p == nil || len(events) == 0 {
			continue
		}
		p.Events = append(p.Events, events...)
		slices.SortStableFunc(p.Events, func(a, b crm.ProfileEvent) int { return cmp.Compare(a.At, b.At) })
	}
	return nil
}
