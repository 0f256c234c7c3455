package mailer

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// mailEvent begins the names under which conditions know facts of mails: mail.clicked.
const mailEvent = "mail."

// mailEvents gives, per contact, what became of the mails to it and to those merged into it, as events: mail.delivered,
// mail.opened… with the properties campaign, step, send, url, machine ("1"), hard ("1"). Profiles are filled by it.
func mailEvents(ctx context.Context, m *mirror.Mirror, q store.Queryer, ids []int64, names []string) (map[int64][]crm.ProfileEvent, error) {
	from, err := m.MergedFrom(ctx, q, ids)
	if err != nil {
		return nil, err
	}
	owners := map[int64][]int64{}
	for _, id := range ids {
		owners[id] = append(owners[id], id)
		for _, merged := range from[id] {
			owners[merged] = append(owners[merged], id)
		}
	}
	var all []int64
	for id := range owners {
		all = append(all, id)
	}
	slices.Sort(all)
	text, args := "SELECT "+factCols+" FROM mail_events WHERE contact_id IN (?)", []any{all}
	if kinds := kindsNamed(names); kinds != nil {
		if len(kinds) == 0 {
			return nil, nil
		}
		text, args = text+" AND kind IN (?)", append(args, kinds)
	}
	var facts []mailFact
	if err := selectIn(ctx, q, &facts, text+" ORDER BY contact_id, happened_at, id", args...); err != nil {
		return nil, fmt.Errorf("reading what became of mails: %w", err)
	}
	out := map[int64][]crm.ProfileEvent{}
	for i := range facts {
		for _, id := range owners[facts[i].ContactID] {
			out[id] = append(out[id], facts[i].event())
		}
	}
	return out, nil
}

// kindsNamed gives the kinds of the names; nil for every one.
func kindsNamed(names []string) []string {
	if slices.Contains(names, crm.AllEvents) {
		return nil
	}
	kinds := []string{}
	for _, n := range names {
		if kind, ok := strings.CutPrefix(n, mailEvent); ok {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

func (f *mailFact) event() crm.ProfileEvent {
	properties := map[string]string{}
	set := func(name, value string) {
		if value != "" {
			properties[name] = value
		}
	}
	set("campaign", f.Campaign)
	set("step", f.Step)
	set("url", f.URL)
	if f.SendID != 0 {
		set("send", SendID(f.SendID))
	}
	if f.Machine {
		set("machine", "1")
	}
	if f.Hard {
		set("hard", "1")
	}
	return crm.ProfileEvent{ID: "m" + strconv.FormatInt(f.ID, 36), Name: mailEvent + f.Kind, At: f.HappenedAt, Properties: properties}
}

// MailEvent is what became of a mail, for people.
type MailEvent struct {
	At       crm.Instant `json:"at"`
	Kind     string      `json:"kind"`
	Campaign string      `json:"campaign,omitempty"`
	Step     string      `json:"step,omitempty"`
	Send     string      `json:"send,omitempty"`
	Machine  bool        `json:"machine,omitempty"` // no person did it
	Why      string      `json:"why,omitempty"`     // what that is seen by
	Hard     bool        `json:"hard,omitempty"`    // bounced for good
	URL      string      `json:"url,omitempty"`
	Reason   string      `json:"reason,omitempty"` // the provider's words
	Source   string      `json:"source"`
}

// MailEvents lists what became of the mails to a contact and to those merged into it, newest first, at most limit.
func MailEvents(ctx context.Context, m *mirror.Mirror, q store.Queryer, contactID int64, limit int) ([]MailEvent, error) {
	from, err := m.MergedFrom(ctx, q, []int64{contactID})
	if err != nil {
		return nil, err
	}
	var facts []mailFact
	if err := selectIn(ctx, q, &facts, "SELECT "+factCols+" FROM mail_events WHERE contact_id IN (?) ORDER BY happened_at DESC, id DESC LIMIT ?", append(from[contactID], contactID), limit); err != nil {
		return nil, fmt.Errorf("reading what became of mails: %w", err)
	}
	out := make([]MailEvent, len(facts))
	for i := range facts {
		out[i] = facts[i].shown()
	}
	return out, nil
}

func (f *mailFact) shown() MailEvent {
	v := MailEvent{
		At: f.HappenedAt, Kind: f.Kind, Campaign: f.Campaign, Step: f.Step, Machine: f.Machine, Why: f.Why, Hard: f.Hard, URL: f.URL, Reason: f.Reason, Source: f.Source,
	}
	if f.SendID != 0 {
		v.Send = SendID(f.SendID)
	}
	return v
}

// Sentence says an event for people.
func (v MailEvent) Sentence() string {
	s := v.Kind
	switch {
	case v.Kind == EventBounced && v.Hard:
		s = "bounced for good"
	case v.Kind == EventBounced:
		s = "came back, not for good"
	case v.Kind == EventDropped:
		s = "the provider did not send it"
	case v.Kind == EventComplained:
		s = "called spam"
	}
	if v.Reason != "" {
		s += ": " + v.Reason
	}
	for _, sign := range machineSigns() {
		if v.Machine && sign[0] == v.Why {
			s += ", by a machine: " + sign[1]
		}
	}
	return s
}

// CameBack lists the names under which CampaignInfo.CameBack counts, in the order in which they are shown: opened and clicked
// are people's.
func CameBack() []string {
	var names []string
	for _, t := range cameBackTexts() {
		names = append(names, t[0])
	}
	return names
}

// CameBackText says such a name for people, after a number.
func CameBackText(name string) string {
	for _, t := range cameBackTexts() {
		if t[0] == name {
			return t[1]
		}
	}
	return name
}

func cameBackTexts() [][2]string {
	return [][2]string{
		{EventDelivered, "delivered"},
		{EventOpened, "opened"},
		{EventClicked, "clicked"},
		{EventBounced, "bounced"},
		{EventComplained, "called spam"},
		{EventUnsubscribed, "unsubscribed"},
		{softBounce, "came back for now"},
		{EventDropped, "dropped by the provider"},
		{EventDelayed, "delayed"},
		{EventOpened + machineSuffix, "opened by machines"},
		{EventClicked + machineSuffix, "clicked by machines"},
	}
}
