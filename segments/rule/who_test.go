package rule_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments/rule"
)

func born(day, zone string) *crm.Profile {
	return &crm.Profile{Contact: crm.Contact{Birthday: day, Zone: zone}}
}

// periods are when the segment holds between two instants, found by walking from one NextChange to the next.
func periods(seg *rule.Segment, p *crm.Profile, from, to string) []string {
	var out []string
	was := false
	for t := instant(from); t < instant(to); t = seg.NextChange(p, t) {
		if is := seg.Match(p, t); is != was {
			out, was = append(out, t.Time().Format("2006-01-02T15:04Z")), is
		}
	}
	return out
}

func TestABirthdayIsADayOfTheContactsCalendar(t *testing.T) {
	for _, c := range []struct {
		name, text, born, zone, from, to string
		want                             []string
	}{
		{"today", "birthday: today", "1990-06-15", "Europe/Paris", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-06-14T22:00Z", "2026-06-15T22:00Z"}},
		{
			"a leap day", "birthday: today", "2000-02-29", "UTC", "2026-01-01T00:00:00Z", "2029-01-01T00:00:00Z",
			[]string{"2026-02-28T00:00Z", "2026-03-01T00:00Z", "2027-02-28T00:00Z", "2027-03-01T00:00Z", "2028-02-29T00:00Z", "2028-03-01T00:00Z"},
		},
		{"day 0 to day 7", "birthday: {in_next: 7d}", "1990-01-03", "UTC", "2025-12-01T00:00:00Z", "2026-12-01T00:00:00Z", []string{"2025-12-27T00:00Z", "2026-01-04T00:00Z"}},
		{"a week past", "birthday: {in_last: 1w}", "1990-12-28", "UTC", "2025-12-01T00:00:00Z", "2026-12-01T00:00:00Z", []string{"2025-12-28T00:00Z", "2026-01-05T00:00Z"}},
		{"clocks forward at midnight", "birthday: today", "1990-03-29", "Asia/Beirut", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-03-28T22:00Z", "2026-03-29T21:00Z"}},
		{"midnight comes twice", "birthday: today", "1990-11-01", "America/Havana", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-11-01T04:00Z", "2026-11-02T05:00Z"}},
		{"no year", "birthday: today", "0000-06-15", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", []string{"2026-06-15T00:00Z", "2026-06-16T00:00Z"}},
		{"always near", "birthday: {in_next: 365d}", "1990-06-15", "UTC", "2026-01-01T00:00:00Z", "2028-12-31T00:00:00Z", []string{"2026-01-01T00:00Z"}},
		{"unknown", "birthday: {in_next: 365d}", "", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", nil},
		{"no day", "birthday: today", "1990-02-30", "UTC", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", nil},
	} {
		if d := cmp.Diff(c.want, periods(segment(t, c.text), born(c.born, c.zone), c.from, c.to)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestAnAgeIsCountedInBirthdays(t *testing.T) {
	for _, c := range []struct {
		text, born, zone string
		want             []string
	}{
		{"age: {at_least: 18, at_most: 19}", "2000-06-15", "America/New_York", []string{"2018-06-15T04:00Z", "2020-06-15T04:00Z"}},
		{"age: {at_least: 18}", "2000-02-29", "UTC", []string{"2018-02-28T00:00Z"}},
		{"age: {at_most: 0}", "2019-03-31", "Asia/Beirut", []string{"2019-03-30T22:00Z", "2020-03-30T21:00Z"}}, // born in the night without a midnight
		{"age: {at_most: 30}", "0000-06-15", "UTC", nil},
		{"age: {at_most: 30}", "", "UTC", nil},
	} {
		if d := cmp.Diff(c.want, periods(segment(t, c.text), born(c.born, c.zone), "2015-01-01T00:00:00Z", "2025-01-01T00:00:00Z")); d != "" {
			t.Errorf("%s, born %s: %s", c.text, c.born, d)
		}
	}
}

func TestWhoSomebodyIs(t *testing.T) {
	p := &crm.Profile{
		Contact: crm.Contact{
			Zone: "UTC", Region: "Île-de-France", City: "PARIS ", Groups: []string{"Pro", "customer"},
			Shops:      []crm.ContactShop{{Name: "boutique"}, {Name: "salon", Since: instant("2026-06-01T00:00:00Z")}},
			Attributes: map[string]string{"fidelite": "Or", "points": "120.50", "since": "2024-02-29 10:00:00", "tags": `["robes", "soldes"]`, "note": "aime les robes", "empty": ""},
			Suppressed: []string{crm.SuppressedBounced},
		},
		Orders: []crm.ProfileOrder{
			{PlacedAt: instant("2026-01-01T00:00:00Z"), Via: "admin"}, // no sale
			{CountsAsSale: true, PlacedAt: instant("2026-02-01T00:00:00Z"), Via: "checkout", Source: "Google"},
			{CountsAsSale: true, PlacedAt: instant("2026-03-01T00:00:00Z"), Via: "phone"},
		},
	}
	at := instant("2026-05-01T00:00:00Z")
	for text, want := range map[string]bool{
		"region: île-de-france": true, "region: bretagne": false, "city: [lyon, paris]": true,
		"group: pro": true, "group: vip": false,
		"shop: boutique": true, "shop: salon": false, "shop: [salon, boutique]": true, "shop: Boutique": false,
		"source: google": true, "source: checkout": true, "source: phone": false, "source: admin": false,
		"bounced: true": true, "bounced: false": false, "contactable: true": false, "contactable: false": true,

		"attribute: {name: fidelite, is: or}":                   true,
		"attribute: {name: fidelite, is: [argent, OR]}":         true,
		"attribute: {name: fidelite, is_not: argent}":           true,
		"attribute: {name: fidelite, is_not: [argent, or]}":     false,
		"attribute: {name: Fidelite, is: or}":                   false,
		"attribute: {name: missing, is_not: or}":                false,
		"attribute: {name: missing, exists: false}":             true,
		"attribute: {name: empty, exists: true}":                false,
		"attribute: {name: points, exists: true}":               true,
		"attribute: {name: points, at_least: 120.5}":            true,
		"attribute: {name: points, at_least: 120.51}":           false,
		"attribute: {name: points, at_most: 121, at_least: -5}": true,
		"attribute: {name: fidelite, at_least: 0}":              false,
		"attribute: {name: since, after: 2024-02-28}":           true,
		"attribute: {name: since, after: 2024-02-29}":           false,
		"attribute: {name: since, before: 2024-03-01}":          true,
		"attribute: {name: since, before: 2024-02-29}":          false,
		"attribute: {name: points, before: 2024-03-01}":         false,
		"attribute: {name: tags, contains: Soldes}":             true,
		"attribute: {name: tags, contains: robe}":               false,
		"attribute: {name: tags, is: robes}":                    true,
		"attribute: {name: tags, is_not: robes}":                false,
		"attribute: {name: note, contains: ROBE}":               true,
		"attribute: {name: note, contains: jupe}":               false,
		"attribute: {name: missing, contains: jupe}":            false,
	} {
		if got := segment(t, text).Match(p, at); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if got, want := segment(t, "shop: salon").NextChange(p, at), instant("2026-06-01T00:00:00Z"); got != want {
		t.Errorf("the shop's first order becomes visible at %v", got.Time())
	}
}

func TestContactableIsWhatTheGateWouldSay(t *testing.T) {
	sold := []crm.ProfileOrder{{ShopID: 2, CountsAsSale: true, PlacedAt: instant("2026-02-01T00:00:00Z")}}
	said := func(state, expires string) []crm.ConsentState {
		c := crm.ConsentState{Topic: "marketing", Channel: "email", State: state, SourceAt: instant("2026-01-01T00:00:00Z")}
		if expires != "" {
			c.ExpiresAt = instant(expires)
		}
		return []crm.ConsentState{c}
	}
	soft, implied := map[int64]string{1: "opt_in", 2: "soft_opt_in"}, map[int64]string{1: "implied", 2: "opt_in"}
	for _, c := range []struct {
		name string
		p    crm.Profile
		want []string
	}{
		{"nothing known", crm.Profile{}, nil},
		{"granted", crm.Profile{Consents: said("granted", "")}, []string{"2026-01-01T00:00Z"}},
		{"granted for a time", crm.Profile{Consents: said("granted", "2026-04-01T00:00:00Z")}, []string{"2026-01-01T00:00Z", "2026-04-01T00:00Z"}},
		{"expired is no silence", crm.Profile{Consents: said("granted", "2026-04-01T00:00:00Z"), Orders: sold, Contact: crm.Contact{Bases: soft}}, []string{"2026-01-01T00:00Z", "2026-04-01T00:00Z"}},
		{"bought where that is enough", crm.Profile{Orders: sold, Contact: crm.Contact{Bases: soft}}, []string{"2026-02-01T00:00Z"}},
		{"bought where it is not", crm.Profile{Orders: sold, Contact: crm.Contact{Bases: implied, HomeShopID: 2}}, nil},
		{"at home where it is implied", crm.Profile{Contact: crm.Contact{Bases: implied, HomeShopID: 1}}, []string{"2025-01-01T00:00Z"}},
		{"until it was withdrawn", crm.Profile{Consents: said("withdrawn", ""), Contact: crm.Contact{Bases: implied, HomeShopID: 1}}, []string{"2025-01-01T00:00Z", "2026-01-01T00:00Z"}},
		{"until it is pending", crm.Profile{Consents: said("pending", ""), Contact: crm.Contact{Bases: implied, HomeShopID: 1}}, []string{"2025-01-01T00:00Z", "2026-01-01T00:00Z"}},
		{"suppressed", crm.Profile{Consents: said("granted", ""), Contact: crm.Contact{Suppressed: []string{"unsubscribed"}}}, nil},
	} {
		if d := cmp.Diff(c.want, periods(segment(t, "contactable: true"), &c.p, "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z")); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestMistakesAboutPeopleAreNamedAtTheirPlace(t *testing.T) {
	const text = `
s:
  match:
    all:
      - region: []
      - city: [""]
      - age: {}
      - age: {at_least: 30, at_most: 18}
      - age: {at_least: 10 EUR}
      - birthday: {in_next: 36h}
      - birthday: {in_next: 1mo}
      - birthday: {in_next: 400d}
      - birthday: {in_next: 3d, in_last: 3d}
      - birthday: {}
      - attribute: {name: a}
      - attribute: {is: b}
      - attribute: {name: a, is: b, contains: c}
      - attribute: {name: a, at_least: many}
      - attribute: {name: a, at_least: 2, at_most: 1.5}
      - attribute: {name: a, before: 1.1.2026}
      - attribute: {name: a, after: 2026-01-01, before: 2026-01-02}
      - attribute: {name: a, is: []}
      - did: {}
      - did: {event: searched, at_least: 2, at_most: 1}
      - did: {event: searched, at_least: 2 EUR}
      - did: {event: searched, exactly: 2, at_most: 1}
      - did: {event: searched, where: {category: {}}, within: nonsense}
      - clicked: {where: {"a.b": {at_least: x}}, within: 3d, in: today}
      - engaged: {in: tomorrow}
      - not_engaged: {within: 0d}
`
	var f rule.File
	if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Validate() {
		got = append(got, strings.TrimPrefix(p.Path, "$.s.match.")+": "+p.Message)
		if p.Want == "" {
			t.Errorf("%s: nothing says what would be right", p.Path)
		}
		if path, err := yaml.PathString(p.Path); err != nil || path == nil {
			t.Errorf("%s is no YAML path: %v", p.Path, err)
		}
	}
	want := []string{
		`all[0].region: nothing is listed`,
		`all[1].city: nothing is listed`,
		`all[2].age: no age is given`,
		`all[3].age.at_most: at_most 18 is less than at_least 30: nobody could match`,
		`all[4].age.at_least: 10 EUR is no age`,
		`all[5].birthday.in_next: "36h" is no number of days`,
		`all[6].birthday.in_next: "1mo" is no number of days`,
		`all[7].birthday.in_next: "400d" is no number of days`,
		`all[8].birthday: 2 of today, in_next and in_last are given`,
		`all[9].birthday: 0 of today, in_next and in_last are given`,
		`all[10].attribute: nothing is compared`,
		`all[11].attribute.name: no attribute is named`,
		`all[12].attribute: is and contains stand side by side`,
		`all[13].attribute.at_least: "many" is no number`,
		`all[14].attribute.at_most: at_most 1.5 is less than at_least 2: nobody could match`,
		`all[15].attribute.before: "1.1.2026" is no day of the calendar`,
		`all[16].attribute.before: no day is after 2026-01-01 and before 2026-01-02`,
		`all[17].attribute.is: nothing is listed`,
		`all[18].did.event: nothing is listed`,
		`all[19].did.at_most: at_most 1 is less than at_least 2: nobody could match`,
		`all[20].did.at_least: 2 EUR is an amount`,
		`all[21].did.exactly: exactly stands beside another bound`,
		`all[22].did.within: "nonsense" is no length of time`,
		`all[22].did.where.category: nothing is compared`,
		`all[23].clicked.in: in and within stand side by side`,
		`all[23].clicked.where.'a.b'.at_least: "x" is no number`,
		`all[24].engaged.in: "tomorrow" is no period of the calendar`,
		`all[25].not_engaged.within: a length of nothing`,
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWrongShapesAboutPeopleHaveAPosition(t *testing.T) {
	for text, want := range map[string]string{
		"match:\n  birthday: tomorrow":                      "[2:13]",
		"match:\n  birthday: {in_nxt: 3d}":                  "[2:14]",
		"match:\n  attribute: {name: a, iss: b}":            "[2:24]",
		"match:\n  did: {event: a, where: {b: {iss: 1}}}":   "[2:31]",
		"match:\n  age: {at_least: [1]}":                    "[2:19]",
		"match:\n  clicked: {evnt: a}":                      "[2:13]",
		"match:\n  attribute: {name: a, at_least: {b: c}}":  "[2:",
		"match:\n  attribute: {name: a, at_least: [1, 2]}":  "[2:34]",
		"match:\n  did: {event: a, where: {b: [[1], [2]]}}": "[2:",
	} {
		var s rule.Spec
		err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict())
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s\n%v", text, err)
		}
	}
}
