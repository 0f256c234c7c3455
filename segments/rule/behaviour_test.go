package rule_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

func did(name, at string, properties ...string) crm.ProfileEvent {
	e := crm.ProfileEvent{Name: name, At: instant(at), Properties: map[string]string{}}
	for i := 0; i < len(properties); i += 2 {
		e.Properties[properties[i]] = properties[i+1]
	}
	return e
}

func visitor() *crm.Profile {
	return &crm.Profile{Contact: crm.Contact{Zone: "Europe/Paris"}, Events: []crm.ProfileEvent{
		did("viewed_product", "2026-09-01T10:00:00Z", "category", "shoes", "price", "19.90"),
		did("mail.opened", "2026-09-10T10:00:00Z", "machine", "1"),
		did("mail.clicked", "2026-09-20T10:00:00Z", "brand", "Aigle", "category", `["shoes","boots"]`),
		did("mail.clicked", "2026-09-21T10:00:00Z", "brand", "Aigle", "machine", "1"),
		did("viewed_product", "2026-10-01T10:00:00Z", "category", "Shoes", "price", "120"),
		did("viewed_product", "2026-10-02T10:00:00Z", "category", "hats"),
		did("mail.opened", "2026-10-03T10:00:00Z"),
		did("viewed_product", "2026-11-30T10:00:00Z", "category", "shoes"), // not yet
	}}
}

func TestWhatSomebodyDidIsCounted(t *testing.T) {
	p, at := visitor(), instant("2026-10-04T00:00:00Z")
	for text, want := range map[string]bool{
		"did: {event: viewed_product}":                                                              true,
		"did: {event: viewed_product, exactly: 3}":                                                  true,
		"did: {event: viewed_product, at_least: 4}":                                                 false,
		"did: {event: [viewed_product, mail.opened], exactly: 4}":                                   true,
		"did: {event: viewed_product, where: {category: shoes}, exactly: 2}":                        true,
		"did: {event: viewed_product, where: {category: [shoes, hats]}, exactly: 3}":                true,
		"did: {event: viewed_product, where: {category: shoes, price: {at_least: 20}}, exactly: 1}": true,
		"did: {event: viewed_product, where: {price: {exists: false}}, exactly: 1}":                 true,
		"did: {event: viewed_product, where: {category: {is_not: hats}}, exactly: 2}":               true,
		"did: {event: viewed_product, within: 30d, exactly: 2}":                                     true,
		"did: {event: viewed_product, in: last_month, exactly: 1}":                                  true,
		"did: {event: viewed_product, between: {from: 2026-10-02, before: 2026-10-03}, exactly: 1}": true,
		"did: {event: mail.opened, exactly: 1}":                                                     true,
		"opened: {exactly: 1}":                                                                      true,
		"opened: {exactly: 2, machine: true}":                                                       true,
		"clicked: {where: {brand: aigle}, exactly: 1}":                                              true,
		"clicked: {where: {brand: aigle}, exactly: 2, machine: true}":                               true,
		"clicked: {where: {category: {contains: boots}}}":                                           true,
		"clicked: {within: 10d}":                                                                    false,
		"not: {clicked: {at_most: 0}}":                                                              true,
		"did: {event: left_a_review, at_most: 0}":                                                   true,
		"did: {event: left_a_review}":                                                               false,
		"engaged: {}":                                                                               true,
		"engaged: {within: 1d}":                                                                     false, // it opened a mail yesterday
		"engaged: {within: 2d}":                                                                     true,
		"not_engaged: {within: 1d}":                                                                 true,
		"not_engaged: {within: 2d}":                                                                 false,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// B: opens that machines make, and clicks of scanners, are no sign of life.
func TestMachinesEngageNobody(t *testing.T) {
	p := &crm.Profile{Events: []crm.ProfileEvent{
		did("mail.opened", "2026-09-10T10:00:00Z"), did("mail.opened", "2026-09-10T10:00:00Z", "machine", "1"), did("mail.clicked", "2026-09-20T10:00:00Z", "machine", "1"),
		did("mail.delivered", "2026-09-20T10:00:00Z"),
	}}
	for _, text := range []string{"engaged: {}", "engaged: {within: 60d}", "clicked: {}"} {
		seg := segment(t, text)
		if seg.Match(p, instant("2026-10-01T00:00:00Z")) || seg.NextChange(p, instant("2026-01-01T00:00:00Z")) != crm.Never {
			t.Errorf("%s: a machine was taken for a person", text)
		}
	}
}

func TestSignsOfLife(t *testing.T) {
	when := instant("2026-09-20T10:00:00Z")
	for what, p := range map[string]*crm.Profile{
		"click": {Events: []crm.ProfileEvent{did("mail.clicked", "2026-09-20T10:00:00Z")}},
		"visit": {Events: []crm.ProfileEvent{did("store_visit", "2026-09-20T10:00:00Z")}},
		"order": {Orders: []crm.ProfileOrder{{CountsAsSale: true, PlacedAt: when}}},
		"cart":  {Carts: []crm.ProfileCart{{CreatedAt: when - 1000, ActiveAt: when}}},
	} {
		got := periods(segment(t, "engaged: {within: 90d}"), p, "2026-01-01T00:00:00Z", "2027-06-01T00:00:00Z")
		if d := cmp.Diff([]string{"2026-09-20T10:00Z", "2026-12-19T10:00Z"}, got); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	p := &crm.Profile{Orders: []crm.ProfileOrder{{PlacedAt: when}}}
	if segment(t, "engaged: {}").Match(p, when) {
		t.Error("an order that does not count is no sign of life")
	}
}

func TestEventsLeaveTheirWindowToTheMillisecond(t *testing.T) {
	p := visitor()
	seg := segment(t, "did: {event: viewed_product, where: {category: shoes}, at_least: 2, within: 31d}")
	got := periods(seg, p, "2026-08-01T00:00:00Z", "2027-06-01T00:00:00Z")
	if d := cmp.Diff([]string{"2026-10-01T10:00Z", "2026-10-02T10:00Z"}, got); d != "" {
		t.Error(d)
	}
	if leaves := instant("2026-10-02T10:00:00Z"); !seg.Match(p, leaves-1) || seg.Match(p, leaves) {
		t.Error("the first event leaves at another instant than 31 days after it")
	}
}

func TestOnlyEventsThatAreAskedForAreNeeded(t *testing.T) {
	for text, want := range map[string]crm.Needs{
		"did: {event: [b, a, b]}":                                {Events: []string{"a", "b"}},
		"any: [clicked: {}, opened: {}, did: {event: searched}]": {Events: []string{"mail.clicked", "mail.opened", "searched"}},
		"any: [engaged: {}, did: {event: searched}]":             {Orders: true, Carts: true, Events: []string{"*"}},
		"contactable: true":                                      {Orders: true, Consents: true, Account: true},
		"source: google":                                         {Orders: true, Source: true},
		"any: [group: a, shop: b, bounced: true]":                {Account: true},
		"attribute: {name: a, is: b}":                            {Account: true},
		"any: [age: {at_least: 3}, birthday: today, city: Lyon]": {},
	} {
		if d := cmp.Diff(want, segment(t, text).Needs()); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestBehaviourIsExplained(t *testing.T) {
	p, at := visitor(), instant("2026-10-04T00:00:00Z")
	p.Contact.Birthday, p.Contact.Attributes = "1990-10-10", map[string]string{"fidelite": "or"}
	for text, want := range map[string]rule.Explanation{
		"clicked: {where: {brand: aigle}, within: 30d}": {
			Condition: "clicked in a mail, brand is aigle, at least once within 30d", Match: true, Value: "once",
			NextChange: instant("2026-10-20T10:00:00Z").Time(), Why: "the event of 2026-09-20 10:00:00 UTC leaves the window of 30d",
		},
		"engaged: {within: 90d}": {
			Condition: "engaged within 90d", Match: true, Value: "viewed_product at 2026-10-02 10:00:00 UTC",
			NextChange: instant("2026-11-30T10:00:00Z").Time(), Why: "something dated 2026-11-30 10:00:00 UTC counts from then on",
		},
		"birthday: {in_next: 3d}": {
			Condition: "birthday in the next 3 days", Value: "born on 1990-10-10",
			NextChange: instant("2026-10-06T22:00:00Z").Time(), Why: "the birthday is 3 days away",
		},
		"age: {at_least: 36}": {
			Condition: "age at least 36", Value: "35 years, born on 1990-10-10", NextChange: instant("2026-10-09T22:00:00Z").Time(), Why: "the contact turns 36 then",
		},
		"attribute: {name: fidelite, is_not: [or, argent]}": {Condition: "attribute fidelite is not or or argent", Value: "or"},
		"attribute: {name: points, exists: false}":          {Condition: "attribute points not known", Match: true, Value: "not known"},
		"contactable: true":                                 {Condition: "contactable", Value: "consent for marketing by email is none"},
		"bounced: false":                                    {Condition: "not bounced", Match: true, Value: "no address is suppressed"},
		"shop: boutique":                                    {Condition: "shop boutique", Value: "in no shop"},
	} {
		if d := cmp.Diff(want, segment(t, text).Explain(p, at)); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}
