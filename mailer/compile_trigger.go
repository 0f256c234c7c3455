package mailer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/segments/rule"
)

// What starts a campaign: a closed set.
const (
	triggerEnters    = "enters"
	triggerLeaves    = "leaves"
	triggerEvent     = "event"
	triggerOrder     = "order"
	triggerDate      = "date"
	triggerStock     = "stock"
	triggerBroadcast = "broadcast"
)

// What may become of an order that starts a campaign, and dates of contacts that may.
const (
	orderPlaced, orderPaid, orderShipped, orderCancelled, orderRefunded = "placed", "paid", "shipped", "cancelled", "refunded"
	dateBirthday, dateRegistered, dateFirstOrder, dateLastOrder         = "birthday", "registered", "first_order", "last_order"
)

const standardAsked = "stock_alert" // the event that asks to be told when a product is there again

// trigger is a TriggerSpec read, with the occurrence that goes with it.
type trigger struct {
	on           string   // one of the constants
	segment      string   // whose changes are looked at: enters, leaves, date (its own); of a broadcast, its members
	act          rule.Act // event
	moment       string   // order
	asked        []string // stock: names of events
	runs         *runs    // broadcast
	occurrence   string   // "" = once per what triggers: the event, the asking, the run
	againAfter   time.Duration
	exitWhenLeft bool
	sentence     string // "when somebody enters idle_cart"
}

// watches tells whether changes of the segment start it.
func (t *trigger) watches() bool {
	return t.on == triggerEnters || t.on == triggerLeaves || t.on == triggerDate
}

// listens tells whether facts of contacts start it.
func (t *trigger) listens() bool {
	return t.on == triggerEvent || t.on == triggerOrder || t.on == triggerStock
}

func (k *compiler) trigger(s CampaignSpec, c *campaign) {
	t := &c.trigger
	given := s.Trigger.given()
	switch len(given) {
	case 0:
		k.wrong(".trigger", "nothing starts this campaign", "trigger: {enters: <segment>}, or leaves, event, order, date, stock, broadcast")
	case 1:
	default:
		k.wrong(".trigger."+given[1], given[1]+" stands beside "+given[0], "one trigger; what starts in two ways is two campaigns")
	}
	if t.on = triggerEnters; len(given) > 0 {
		t.on = given[0]
	}
	t.sentence = s.Trigger.Sentence()
	t.segment = TriggerSegment(c.id, s)
	switch t.on {
	case triggerEnters, triggerLeaves:
		if t.segment != "" {
			k.segment(".trigger."+t.on, t.segment)
		}
	case triggerEvent:
		act, problems := rule.CompileAct(k.path+".trigger.event", s.Trigger.Event.Name, s.Trigger.Event.Where)
		t.act, k.problems = act, append(k.problems, problems...)
	case triggerOrder:
		t.moment = k.oneOf(".trigger.order", s.Trigger.Order, orderPlaced, orderPaid, orderShipped, orderCancelled, orderRefunded)
	case triggerDate:
		_, problems := s.Trigger.Date.condition(k.path + ".trigger.date")
		k.problems = append(k.problems, problems...)
	case triggerStock:
		t.asked = s.Trigger.Stock.asked()
		if slices.Contains(t.asked, "") {
			k.wrong(".trigger.stock.asked", "the name of an event is empty", "names of events with the property product_id, such as "+standardAsked)
		}
	case triggerBroadcast:
		k.segment(".trigger.broadcast.segment", t.segment)
		t.runs = k.runs(*s.Trigger.Broadcast)
	}
	t.exitWhenLeft = t.on == triggerEnters && (s.ExitWhenLeft == nil || *s.ExitWhenLeft)
	if s.ExitWhenLeft != nil && t.on != triggerEnters {
		k.wrong(".exit_when_left", "it says what leaving the segment ends, and this campaign is not about being in one", "exit_if: {…}, or a trigger that enters a segment")
	}
	k.occurrence(s, c)
}

func (k *compiler) oneOf(path, value string, allowed ...string) string {
	if !slices.Contains(allowed, value) {
		k.wrong(path, quoted(value)+" is none of these", oneOf(allowed))
	}
	return value
}

// given lists the triggers that are written, in the order of the grammar.
func (t TriggerSpec) given() []string {
	var out []string
	for _, one := range []struct {
		name string
		is   bool
	}{
		{triggerEnters, t.Enters != ""},
		{triggerLeaves, t.Leaves != ""},
		{triggerEvent, t.Event != nil},
		{triggerOrder, t.Order != ""},
		{triggerDate, t.Date != nil},
		{triggerStock, t.Stock != nil},
		{triggerBroadcast, t.Broadcast != nil},
	} {
		if one.is {
			out = append(out, one.name)
		}
	}
	return out
}

func (s StockSpec) asked() []string {
	if len(s.Asked) == 0 {
		return []string{standardAsked}
	}
	return s.Asked
}

// occurrences lists what may be written for a trigger; the first is the default, "" being once per what triggers.
func (t *trigger) occurrences(s TriggerSpec) []string {
	switch t.on {
	case triggerEvent:
		return []string{"", OccurrenceOnce, OccurrenceEach, OccurrenceCart, OccurrenceOrder, OccurrenceYear, OccurrenceAgain}
	case triggerOrder:
		return []string{OccurrenceOrder, OccurrenceOnce, OccurrenceEach, OccurrenceYear, OccurrenceAgain}
	case triggerDate:
		switch s.Date.Of {
		case dateBirthday:
			return []string{OccurrenceYear, OccurrenceOnce, OccurrenceEach, OccurrenceAgain}
		case dateRegistered:
			return []string{OccurrenceEach, OccurrenceOnce, OccurrenceYear, OccurrenceAgain}
		}
		return []string{OccurrenceEach, OccurrenceOnce, OccurrenceOrder, OccurrenceYear, OccurrenceAgain}
	case triggerStock:
		return []string{"", OccurrenceOnce, OccurrenceEach, OccurrenceYear, OccurrenceAgain}
	case triggerBroadcast:
		return []string{"", OccurrenceOnce, OccurrenceYear, OccurrenceAgain}
	}
	return []string{OccurrenceOnce, OccurrenceEach, OccurrenceCart, OccurrenceOrder, OccurrenceYear, OccurrenceAgain}
}

func (k *compiler) occurrence(s CampaignSpec, c *campaign) {
	t := &c.trigger
	allowed := t.occurrences(s.Trigger)
	t.occurrence = orElse(s.Occurrence.Mode, allowed[0])
	if s.Occurrence.Mode == "" {
		return
	}
	all := []string{OccurrenceOnce, OccurrenceEach, OccurrenceCart, OccurrenceOrder, OccurrenceYear, OccurrenceAgain}
	switch {
	case !slices.Contains(all, t.occurrence):
		k.wrong(".occurrence", quoted(t.occurrence)+" is no occurrence", wanted(allowed))
	case !slices.Contains(allowed, t.occurrence):
		k.wrong(".occurrence", t.occurrence+" does not fit a campaign that starts "+t.sentence, wanted(allowed))
	case t.occurrence == OccurrenceAgain:
		if s.Occurrence.AgainAfter == "" {
			k.wrong(".occurrence", "again_after has no length of time", "again_after: 90d")
		}
		t.againAfter = k.span(".occurrence.again_after", s.Occurrence.AgainAfter, 0)
	}
}

func wanted(allowed []string) string {
	var out []string
	for _, a := range allowed {
		switch a {
		case "":
		case OccurrenceAgain:
			out = append(out, "{again_after: 90d}")
		default:
			out = append(out, a)
		}
	}
	want := "one of: " + strings.Join(out, ", ")
	if allowed[0] == "" {
		want += "; or none, which is once for each"
	}
	return want
}

// condition is the segment that a contact enters when the date has come. path is where the date stands, for problems.
func (d DateSpec) condition(path string) (rule.Condition, []fault.Problem) {
	var cond rule.Condition
	var problems []fault.Problem
	wrong := func(at, message, want string) {
		problems = append(problems, fault.Problem{Path: path + at, Message: message, Want: want})
	}
	after := rule.Length(d.After)
	switch d.Of {
	case dateBirthday:
		if d.After != "" {
			wrong(".after", "a birthday has no after", "before: 7d, or neither for the day itself")
		}
		cond.Birthday = &rule.Birthday{Today: d.Before == "", InNext: rule.Length(d.Before)}
		if d.Before == "" {
			break
		}
		if n, err := crm.ParseSpan(d.Before); err != nil || n <= 0 || n%(24*time.Hour) != 0 || n > 365*24*time.Hour {
			wrong(".before", quoted(d.Before)+" is no number of days", "whole days or weeks, at most 365d, such as 7d or 2w")
		}
	case dateRegistered:
		if cond.Registered = (&rule.Registered{OlderThan: after}); d.After == "" {
			is := true
			cond.Registered.Is = &is
		}
	case dateFirstOrder:
		cond.FirstPurchase = &rule.FirstPurchase{OlderThan: after}
	case dateLastOrder:
		cond.LastPurchase = &rule.LastPurchase{OlderThan: after}
	default:
		wrong(".of", quoted(d.Of)+" is no date of a contact", oneOf([]string{dateBirthday, dateRegistered, dateFirstOrder, dateLastOrder}))
		return cond, problems
	}
	if d.Of != dateBirthday && d.Before != "" {
		wrong(".before", "nobody knows before it happens", "after: 30d; before goes with birthday")
	}
	if (d.Of == dateFirstOrder || d.Of == dateLastOrder) && d.After == "" {
		wrong(".after", "it is not said how long after", "after: 30d; to begin with the order itself: trigger: {order: placed}")
	}
	if len(problems) == 0 {
		if _, more := rule.CompileIn(rule.File{}, path, cond); len(more) > 0 {
			wrong(".after", more[0].Message, more[0].Want)
		}
	}
	return cond, problems
}

// ImplicitSegments are those that campaigns on a date of their contacts stand on: what the maintainer keeps true beside
// the files' segments. They go with their campaign. Definitions with mistakes have none.
func ImplicitSegments(f CampaignFile) rule.File {
	out := rule.File{}
	for id, s := range f {
		if s.Trigger.Date == nil || !validID(id) {
			continue
		}
		if cond, problems := s.Trigger.Date.condition(""); len(problems) == 0 {
			out[implicitSegment(id)] = rule.Spec{Title: fmt.Sprintf("%s: %s", orElse(s.Title, id), s.Trigger.Sentence()), Match: cond}
		}
	}
	return out
}

func implicitSegment(campaign string) string { return rule.ImplicitPrefix + campaign }

// TriggerSegment is the segment that a campaign's trigger looks at: one of the files, its own when it starts on a date, ""
// when it looks at none.
func TriggerSegment(id string, s CampaignSpec) string {
	switch {
	case s.Trigger.Enters != "":
		return s.Trigger.Enters
	case s.Trigger.Leaves != "":
		return s.Trigger.Leaves
	case s.Trigger.Date != nil:
		return implicitSegment(id)
	case s.Trigger.Broadcast != nil:
		return s.Trigger.Broadcast.Segment
	}
	return ""
}
