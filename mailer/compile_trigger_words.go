package mailer

import (
	"maps"
	"slices"
	"strings"
)

// Sentence says what starts a campaign, for people: "when somebody enters idle_cart".
func (t TriggerSpec) Sentence() string {
	switch {
	case t.Enters != "":
		return "when somebody enters " + t.Enters
	case t.Leaves != "":
		return "when somebody leaves " + t.Leaves
	case t.Event != nil:
		return "when somebody does " + t.Event.Name + t.Event.where()
	case t.Order != "":
		return "when an order is " + t.Order
	case t.Date != nil:
		return t.Date.sentence()
	case t.Stock != nil:
		return "when a product is in stock again that somebody asked for (" + strings.Join(t.Stock.asked(), ", ") + ")"
	case t.Broadcast != nil:
		return t.Broadcast.sentence()
	}
	return "never: nothing starts it"
}

func (e EventSpec) where() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Where)) {
		parts = append(parts, name+": "+e.Where[name])
	}
	if parts == nil {
		return ""
	}
	return " with " + strings.Join(parts, ", ")
}

func (d DateSpec) sentence() string {
	what := map[string]string{dateRegistered: "opened an account", dateFirstOrder: "ordered for the first time", dateLastOrder: "ordered last"}[d.Of]
	switch {
	case d.Of == dateBirthday && d.Before != "":
		return d.Before + " before somebody's birthday"
	case d.Of == dateBirthday:
		return "on somebody's birthday"
	case d.After == "":
		return "when somebody has " + what
	}
	return d.After + " after somebody " + what
}

func (b BroadcastSpec) sentence() string {
	day, clock, _ := strings.Cut(b.At, " ")
	s := "on " + day + " at " + clock + " by each contact's clock, for whoever is in " + b.Segment + " then"
	if b.Every != "" {
		s += ", and every " + b.Every + " from then on"
	}
	return s
}
