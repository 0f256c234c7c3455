package rule_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/segments/rule"
)

func segment(t *testing.T, text string) *rule.Segment {
	t.Helper()
	var s rule.Spec
	if err := yaml.UnmarshalWithOptions([]byte("match:\n  "+strings.ReplaceAll(text, "\n", "\n  ")), &s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	seg, err := rule.Compile("s", s)
	if err != nil {
		t.Fatal(err)
	}
	return seg
}

func instant(text string) crm.Instant {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return crm.At(at)
}

func sale(at string, minor int64, lines ...crm.ProfileLine) crm.ProfileOrder {
	return crm.ProfileOrder{CountsAsSale: true, Currency: "EUR", Total: minor, PlacedAt: instant(at), Lines: lines}
}

func TestSixtyDaysIsAnInstant(t *testing.T) {
	seg := segment(t, "last_purchase: {older_than: 60d}")
	p := &crm.Profile{Orders: []crm.ProfileOrder{sale("2026-09-01T10:00:00Z", 100)}}
	flip := instant("2026-10-31T10:00:00Z")
	if seg.Match(p, flip-1) || !seg.Match(p, flip) {
		t.Error("the flip is not at J+60 to the millisecond")
	}
	if got := seg.NextChange(p, instant("2026-09-02T00:00:00Z")); got != flip {
		t.Errorf("next change %v", got.Time())
	}
	if got := seg.NextChange(p, flip); got != crm.Never {
		t.Errorf("after the flip: %v", got.Time())
	}
}

func TestBounds(t *testing.T) {
	shoe := crm.ProfileLine{ProductID: "7", SKU: "S-7", Quantity: 4, Refunded: 1, Total: 8000, Categories: []string{"3", "shoes"}}
	hat := crm.ProfileLine{ProductID: "8", SKU: "H-8", Quantity: 1, Total: 2000}
	refunded := sale("2026-10-01T00:00:00Z", 10000, shoe, hat)
	refunded.Refunded = 2000
	draft := sale("2026-10-02T00:00:00Z", 99900, hat)
	draft.CountsAsSale = false
	dollars := sale("2026-10-03T00:00:00Z", 50000, hat)
	dollars.Currency = "USD"
	p := &crm.Profile{Orders: []crm.ProfileOrder{refunded, draft, dollars}, Contact: crm.Contact{Zone: "UTC", Country: "BE", Locale: "fr_BE"}}
	at := instant("2026-11-01T00:00:00Z")
	for text, want := range map[string]bool{
		"bought: {}":                                                            true,
		"bought: {at_least: 2}":                                                 true,
		"bought: {at_least: 3}":                                                 false,
		"bought: {exactly: 2}":                                                  true,
		"bought: {exactly: 0}":                                                  false,
		"bought: {exactly: 0, within: 20d}":                                     true,
		"bought: {at_least: 80 EUR}":                                            true,
		"bought: {at_least: 80.01 EUR}":                                         false,
		"bought: {at_least: 500 USD, at_most: 500 USD}":                         true,
		"bought: {category: shoes}":                                             true,
		"bought: {category: [3], sku: [H-8]}":                                   false,
		"bought: {of: quantity, at_least: 3, product: 7}":                       true,
		"bought: {of: quantity, at_least: 4, product: 7}":                       false,
		"bought: {at_least: 60 EUR, category: shoes}":                           true,
		"bought: {at_least: 60.01 EUR, category: shoes}":                        false,
		"bought: {between: {from: 2026-10-01}, exactly: 2}":                     true,
		"bought: {between: {from: 2026-10-01, before: 2026-10-03}, exactly: 1}": true,
		"bought: {between: {before: 2026-10-01}}":                               false,

		"country: FR":                false,
		"country: [FR, BE]":          true,
		"locale: fr":                 true,
		"locale: fr-BE":              true,
		"locale: [fr-FR, nl]":        false,
		"consent: none":              true,
		"consent: granted":           false,
		"registered: {is: false}":    true,
		"not:\n  bought: {sku: H-9}": true,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func TestACalendarDayBeginsInTheContactsZone(t *testing.T) {
	seg := segment(t, "bought: {between: {from: 2026-03-29, before: 2026-03-30}}")
	for zone, edges := range map[string][2]string{
		"Europe/Paris":     {"2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"}, // 23 hours: clocks go forward
		"America/New_York": {"2026-03-29T04:00:00Z", "2026-03-30T04:00:00Z"},
		"Asia/Beirut":      {"2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"}, // forward at midnight: the day begins at 01:00
	} {
		for i, at := range []crm.Instant{instant(edges[0]) - 1, instant(edges[0]), instant(edges[1]) - 1, instant(edges[1])} {
			p := &crm.Profile{Contact: crm.Contact{Zone: zone}, Orders: []crm.ProfileOrder{{CountsAsSale: true, PlacedAt: at}}}
			if got, want := seg.Match(p, instant("2026-06-01T00:00:00Z")), i == 1 || i == 2; got != want {
				t.Errorf("%s, order %v: %v", zone, at.Time(), got)
			}
		}
	}
}

func TestEveryMistakeIsNamedAtItsPlace(t *testing.T) {
	const text = `
win_back:
  match:
    all:
      - bought: {at_least: -1}
      - bought: {at_least: 3, at_most: 2}
      - bought: {at_least: 10 EUR, of: quantity}
      - bought: {exactly: 1, at_least: 1, within: 5q}
      - bought: {between: {from: 2026-02-30}}
      - last_purchase: {older_than: 90d, newer_than: 60d}
      - last_purchase: {product: 5}
      - open_cart: {at_least: 20}
      - registered: {}
      - country: [fr]
      - consent: maybe
      - {}
      - country: FR
        locale: fr
      - not: {all: []}
Bad Id:
  match: {bought: {}}
`
	var f rule.File
	if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Validate() {
		got = append(got, strings.TrimPrefix(p.Path, "$.win_back.match.")+": "+p.Message)
		if p.Want == "" {
			t.Errorf("%s: nothing says what would be right", p.Path)
		}
		if path, err := yaml.PathString(p.Path); err != nil || path == nil {
			t.Errorf("%s is no YAML path: %v", p.Path, err)
		}
	}
	want := []string{
		`$.'Bad Id': "Bad Id" cannot be the id of a segment`,
		`all[0].bought.at_least: "-1" is negative`,
		`all[1].bought.at_most: at_most 2 is less than at_least 3: nobody could match`,
		`all[2].bought.of: an amount cannot bound quantity`,
		`all[3].bought.within: "5q" is no length of time`,
		`all[3].bought.exactly: exactly stands beside another bound`,
		`all[4].bought.between.from: "2026-02-30" is no day of the calendar`,
		`all[5].last_purchase.newer_than: older than 90d and newer than 60d at once: nobody could match`,
		`all[6].last_purchase: no age is given`,
		`all[7].open_cart.at_least: 20 has no currency`,
		`all[8].registered: nothing is asked`,
		`all[9].country: "fr" is no country code`,
		`all[10].consent: "maybe" is no state of a consent`,
		`all[11]: the condition is empty`,
		`all[12]: country and locale stand side by side`,
		`all[13].not.all: the list is empty`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestUnknownKeysAndWrongShapesHaveAPosition(t *testing.T) {
	for text, want := range map[string]string{
		"match:\n  bougth: {}":                      "[2:3]",
		"match:\n  bought: {at_leat: 1}":            "[2:12]",
		"match:\n  consent: {state: granted, x: y}": "[2:29]",
		"match:\n  bought: {at_least: [1]}":         "[2:22]",
		"match:\n  country: {a: b}":                 "[2:1",
	} {
		var s rule.Spec
		err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

func TestExplainSaysWhatIsWhatWillBeAndWhy(t *testing.T) {
	seg := segment(t, "all:\n  - last_purchase: {older_than: 60d}\n  - consent: granted\n  - not: {bought: {at_least: 2, within: 90d}}")
	p := &crm.Profile{
		Orders:   []crm.ProfileOrder{sale("2026-09-01T10:00:00Z", 100)},
		Consents: []crm.ConsentState{{Topic: "marketing", Channel: "email", State: "granted", SourceAt: 1}},
	}
	flip := instant("2026-10-31T10:00:00Z").Time()
	why := "the last purchase becomes 60d old"
	want := rule.Explanation{
		Condition: "all of", NextChange: flip, Why: why,
		Of: []rule.Explanation{
			{Condition: "last purchase older than 60d", Value: "bought at 2026-09-01 10:00:00 UTC", NextChange: flip, Why: why},
			{Condition: "consent granted for marketing by email", Match: true, Value: "granted"},
			{Condition: "not", Match: true, Of: []rule.Explanation{{Condition: "bought at least 2 orders within 90d", Value: "1 order"}}},
		},
	}
	if d := cmp.Diff(want, seg.Explain(p, instant("2026-09-02T00:00:00Z"))); d != "" {
		t.Error(d)
	}
}

func TestNeeds(t *testing.T) {
	for text, want := range map[string]crm.Needs{
		"country: FR":                            {},
		"bought: {}":                             {Orders: true},
		"bought: {sku: a}":                       {Orders: true, Lines: true},
		"bought: {of: quantity, at_least: 1}":    {Orders: true, Lines: true},
		"any: [open_cart: {}, consent: granted]": {Carts: true, Consents: true},
	} {
		if d := cmp.Diff(want, segment(t, text).Needs()); d != "" {
			t.Errorf("%s: %s", text, d)
		}
	}
}

func TestProblemsCarryTheContractsShape(t *testing.T) {
	got := rule.Spec{}.Validate("$.s")
	if len(got) != 1 || !strings.HasPrefix(got[0].Want, "one of all, any, not, bought, ") {
		t.Fatalf("%+v", got)
	}
	got[0].Want = ""
	want := []fault.Problem{{Path: "$.s.match", Message: "the condition is empty"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
