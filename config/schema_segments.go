package config

import (
	"github.com/invopop/jsonschema"

	"github.com/relance/relance/internal/crm"
)

// wording is what editors show of one key of a segments file.
type wording struct {
	text     string
	enum     []any
	examples []any
}

// m is a mapping in an example.
type m = map[string]any

func words(text string, examples ...any) wording { return wording{text: text, examples: examples} }

func among(text string, values ...any) wording { return wording{text: text, enum: values} }

// conditionWords describe the conditions; exactly one of them stands in a mapping.
func conditionWords() map[string]wording {
	return map[string]wording{
		"all":      words("Each condition of the list holds.", []any{m{"bought": m{"at_least": 2}}, m{"consent": "granted"}}),
		"any":      words("One condition of the list holds.", []any{m{"country": "FR"}, m{"locale": "fr"}}),
		"not":      words("The condition does not hold.", m{"segment": "vip"}),
		"at_least": words("At least n conditions of the list hold.", m{"n": 2, "of": []any{m{"engaged": m{"within": "90d"}}, m{"bought": m{}}, m{"country": "FR"}}}),

		"segment": words("The contact is in that segment, or in one of several.", "vip", []any{"vip", "loyal"}),
		"entered": words("The contact entered that segment in the window, as recorded. Builds and edits are no entries.", m{"segment": "vip", "within": "7d"}),
		"left":    words("The contact left that segment in the window, as recorded.", m{"segment": "vip", "in": "this_month"}),
		"share":   words("A stable share of all contacts drawn by lot. Disjoint shares: the same key with different from.", m{"percent": 20, "key": "spring"}, m{"from": 20, "percent": 20, "key": "spring"}),

		"bought":         words("How much was bought lies within the bounds. {} is at least one purchase, ever.", m{"at_least": 3, "within": "90d"}, m{"at_least": "500 EUR", "in": "last_year"}, m{"at_least": 6, "of": "products", "within": "6mo"}),
		"never_bought":   words("There is no purchase of these goods; {} is none at all.", m{"category": "shoes"}),
		"bought_with":    words("Both were bought in the same purchase.", m{"category": "shoes", "and": m{"sku": "POLISH-1"}}),
		"first_purchase": words("The first purchase has that age. {} is any.", m{"within": "30d"}),
		"last_purchase":  words("The newest purchase has that age.", m{"older_than": "60d", "newer_than": "90d"}),
		"nth_purchase":   words("The n-th purchase has that age. Without an age: it was made.", m{"n": 3, "within": "7d"}),
		"days_between":   words("The mean time between purchases lies within the bounds; it takes two purchases.", m{"at_least": "20d", "at_most": "40d"}),

		"open_cart":       words("One open cart fulfils all that is written. {} is any open cart.", m{"idle_for": "1h", "younger_than": "3d", "at_least": "20 EUR"}),
		"recovered_cart":  words("A cart was ordered after having lain idle (an hour unless idle_for says otherwise).", m{"within": "30d"}),
		"abandoned_carts": words("So many carts lay idle without being ordered, whatever became of them later.", m{"at_least": 2, "within": "90d"}),

		"did":         words("Events of that name and properties, counted. Without a bound at least one.", m{"event": "viewed_product", "where": m{"category": "shoes"}, "at_least": 3, "within": "30d"}),
		"opened":      words("Mails that were opened. What machines open is left out, unless machine: true.", m{"at_least": 1, "within": "30d"}),
		"clicked":     words("Clicks in mails. Those of scanners are left out, unless machine: true.", m{"where": m{"brand": "Acme"}, "at_least": 3, "within": "90d"}),
		"engaged":     words("A click, an order, a cart or a visit in the window. Opening a mail is none: machines do it.", m{"within": "90d"}),
		"not_engaged": words("No click, order, cart or visit in the window.", m{"within": "90d"}),

		"registered":  words("The first account has that age; or whether there is one.", m{"within": "30d"}, m{"is": false}),
		"country":     words("ISO 3166, capitals.", "FR", []any{"FR", "BE"}),
		"region":      words("As the shops write it; capitals do not matter.", "Bretagne"),
		"city":        words("As the shops write it; capitals do not matter.", []any{"Lyon", "Villeurbanne"}),
		"locale":      words("Language; fr includes fr-BE.", "fr", []any{"fr", "nl-BE"}),
		"age":         words("Whole years in the contact's zone.", m{"at_least": 18, "at_most": 30}),
		"birthday":    words("Whole days in the contact's zone; today is day 0.", "today", m{"in_next": "7d"}),
		"group":       words("The customer group or role of an account, in the shop's own words.", "wholesale"),
		"shop":        words("An account, an order or a cart in that shop, by the shop's name.", "boutique"),
		"source":      words("How the first order came in, or what brought the buyer.", []any{"google", "newsletter"}),
		"attribute":   words("An attribute that a mapping or a sender gives.", m{"name": "fidelite", "is": "or"}, m{"name": "points", "at_least": 100}),
		"consent":     words("The answer for a topic and a channel; a bare word is about marketing by e-mail.", "granted", m{"topic": "marketing", "channel": "sms", "state": "granted"}),
		"contactable": words("Whether marketing mail may be sent: consent, or the shop's basis, and no address suppressed.", true),
		"bounced":     words("Whether mail to an address of the contact came back for good.", false),

		"rfm":           words("Scores from 1 to 5 of recency, frequency and money against the published thresholds; or a named group.", "champions", m{"r": []any{1, 2}, "m": []any{4, 5}}),
		"top":           words("The best so many percent of the audience's buyers, by the published thresholds; ties are in.", m{"percent": 10, "by": "revenue"}),
		"bottom":        words("The last so many percent of the audience's buyers.", m{"percent": 20, "by": "recency"}),
		"next_purchase": words("The next purchase is expected within that time: the last one plus the mean time between purchases. Three at least.", m{"in_next": "14d"}),
		"overdue":       words("So many times the mean time between purchases has passed since the last one. Three purchases at least.", m{"factor": 1.5}),
	}
}

// keyWords describe the keys within conditions: "Type.key", or ".key" wherever a key means the same.
func keyWords() map[string]wording {
	return map[string]wording{
		"Spec.title": words("For people to read; it may change.", "Bought once, then silent for 60 days"),
		"Spec.match": words("One condition; several go under all or any."),

		".at_least": words("At least: a count, or an amount with its currency.", 3, "100 EUR"),
		".at_most":  words("At most: a count, or an amount with its currency.", 10, "500 EUR"),
		".exactly":  words("Neither more nor less.", 0),
		".within":   words("For so long after the date: fixed (90d, 6w, 12h) or by the contact's calendar (3mo, 1y).", "90d", "6mo"),
		".in": among("A period of the contact's calendar; weeks begin on Monday.", "today", "yesterday", "this_week", "last_week", "this_month", "last_month",
			"this_quarter", "last_quarter", "this_year", "last_year"),
		".between":    words("From a first civil day up to the first day after.", m{"from": "2026-11-27", "before": "2026-12-01"}),
		".older_than": words("From that age on.", "60d"),
		".newer_than": words("Up to that age.", "90d"),
		".product":    words("The shop's ids of products.", "4711"),
		".sku":        words("As written in the shop.", "S-7"),
		".category":   words("Ids or slugs; a category includes those below it.", "shoes"),
		".brand":      words("By the current catalogue; capitals do not matter.", "Acme"),
		".price":      words("Of one piece, as paid.", m{"at_least": "10 EUR"}),
		".coupon":     words("One of these codes was used; capitals do not matter.", "SUMMER"),
		".shop":       words("By the shop's name: that of its file.", "boutique"),
		".status": among("State of the order. Without it those that count as a sale.", crm.StateDraft, crm.StatePending, crm.StateFailed, crm.StateOnHold, crm.StateAccepted,
			crm.StateShipped, crm.StateCompleted, crm.StateCancelled, crm.StateRefunded, crm.StateTrash, crm.StateReplaced, crm.StateOther),
		".idle_for":     words("Since the cart's last activity.", "1h"),
		".younger_than": words("Since the cart's last activity, at most.", "3d"),
		".items":        words("Pieces in the cart.", m{"at_least": 2}),
		".where":        words("Properties of the event: a value, a list of values, or a comparison.", m{"category": "shoes", "price": m{"at_least": 50}}),
		".machine":      words("What machines did counts, too: opens by privacy proxies, clicks by scanners."),

		"Bought.of":      among("What is counted: purchases, pieces, different products, money, or the mean amount of a purchase.", "orders", "quantity", "products", "amount", "basket"),
		"BoughtWith.and": words("Goods of another line of the same purchase.", m{"sku": "POLISH-1"}),
		"NthPurchase.n":  words("1 is the first purchase.", 3),
		"Several.n":      words("How many of them.", 2),
		"Several.of":     words("Conditions."),

		"DaysBetween.at_least": words("A fixed length.", "20d"),
		"DaysBetween.at_most":  words("A fixed length.", "40d"),
		"Registered.is":        words("Whether there is an account."),
		"Consent.state":        among("The answer.", crm.ConsentGranted, crm.ConsentNone, crm.ConsentPending, crm.ConsentWithdrawn),
		"Consent.topic":        words("marketing when absent.", "marketing"),
		"Consent.channel":      words("email when absent.", "email"),
		"Period.from":          words("The first day.", "2026-11-27"),
		"Period.before":        words("The first day after.", "2026-12-01"),
		"Age.at_least":         words("Whole years.", 18),
		"Age.at_most":          words("Whole years.", 30),
		"Birthday.today":       words("Today."),
		"Birthday.in_next":     words("Whole days, today included.", "7d"),
		"Birthday.in_last":     words("Whole days, today included.", "7d"),
		"Attribute.name":       words("As the mapping or the sender calls it.", "fidelite"),
		".is":                  words("One of these; capitals do not matter. Of a list: one of its elements is.", "or", []any{"gold", "silver"}),
		".is_not":              words("Known, and none of these.", "bronze"),
		".before":              words("A day before this one.", "2026-01-01"),
		".after":               words("A day after this one.", "2025-12-31"),
		".contains":            words("Part of a text, or an element of a list.", "running"),
		".exists":              words("Whether it is known at all."),
		"Attribute.at_least":   words("A number.", 100),
		"Attribute.at_most":    words("A number.", 1000),
		"Test.at_least":        words("A number.", 50),
		"Test.at_most":         words("A number.", 100),
		"Did.event":            words("Names of events: viewed_product, searched, form, store_visit, or a sender's own.", "viewed_product"),
		"Passage.segment":      words("Ids of segments.", "vip"),
		"Share.percent":        words("Of the hundred; two decimals at most.", 20),
		"Share.from":           words("Where the share begins; 0 when absent.", 20),
		"Share.key":            words("The same key draws the same lots.", "spring"),
		"RFM.r":                words("Scores of recency; 5 bought last.", []any{4, 5}),
		"RFM.f":                words("Scores of the number of purchases.", []any{4, 5}),
		"RFM.m":                words("Scores of revenue.", []any{3, 4, 5}),
		"Top.percent":          words("A whole number from 1 to 99.", 10),
		"Top.by":               among("What buyers are ranked by.", "revenue", "orders", "recency"),
		"NextPurchase.in_next": words("How soon.", "14d"),
		"Overdue.factor":       words("1 is when the purchase was expected.", 1.5),
	}
}

// segmentWords puts descriptions, values and examples into the schema of a segments file, and the short forms that
// types which decode themselves take.
func segmentWords(s *jsonschema.Schema) {
	keys := keyWords()
	for name, def := range s.Definitions {
		if def.Properties == nil {
			continue
		}
		for p := def.Properties.Oldest(); p != nil; p = p.Next() {
			w, ok := keys[name+"."+p.Key]
			if !ok {
				w = keys["."+p.Key]
			}
			if name == "Condition" {
				w = conditionWords()[p.Key]
			}
			w.put(p.Value)
		}
	}
	if c := s.Definitions["Condition"]; c != nil {
		one := uint64(1)
		c.MinProperties, c.MaxProperties = &one, &one
		c.Description = "Exactly one condition."
	}
	scalar := []*jsonschema.Schema{{Type: "string"}, {Type: "number"}, {Type: "boolean"}}
	list := &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{AnyOf: scalar}}
	short := map[string]*jsonschema.Schema{
		"Birthday": {Type: "string", Enum: []any{"today"}},
		"RFM":      {Type: "string", Enum: []any{"champions", "loyal", "promising", "new", "at_risk", "hibernating", "lost"}},
		"Consent":  {Type: "string", Enum: []any{crm.ConsentGranted, crm.ConsentNone, crm.ConsentPending, crm.ConsentWithdrawn}},
		"Test":     {Ref: "#/$defs/List"},
	}
	for name, form := range short {
		if def := s.Definitions[name]; def != nil {
			s.Definitions[name] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{form, def}}
		}
	}
	s.Definitions["List"] = &jsonschema.Schema{Description: "One value or a list of them.", AnyOf: append(scalar, list)}
	s.Definitions["Bound"] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "integer", Minimum: "0"}, {Type: "string", Pattern: "^[0-9.]+( [A-Z]{3})?$"}}}
	s.Definitions["Number"] = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{{Type: "number"}, {Type: "string", Pattern: "^[+-]?[0-9]+([.,][0-9]+)?$"}}}
	s.Definitions["Length"] = &jsonschema.Schema{Type: "string", Pattern: "^(([0-9]+[smhdw])+|([0-9]+(mo|y))+)$"}
}

func (w wording) put(s *jsonschema.Schema) {
	if w.text != "" {
		s.Description = w.text
	}
	s.Examples = w.examples
	if w.enum == nil {
		return
	}
	if s.Type == "string" {
		s.Enum = w.enum
		return
	}
	one := &jsonschema.Schema{Type: "string", Enum: w.enum} // a list, or one alone
	s.Ref, s.AnyOf = "", []*jsonschema.Schema{one, {Type: "array", Items: one}}
}
