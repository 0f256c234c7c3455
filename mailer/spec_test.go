package mailer_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"pgregory.net/rapid"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments/rule"
)

const example = `
cart:
  title: Abandoned cart
  kind: marketing
  audience: default
  trigger: {enters: idle_cart}
  occurrence: {again_after: 90d}
  exit_when_left: false
  not_after: 6h
  quiet_hours: {from: "21:00", to: "08:00"}
  holdout: 10
  steps:
    - {id: first, send: {template: abandoned_cart}}
    - {id: pause, wait: 1d}
    - {id: second, send: {template: abandoned_cart}}
`

func known() mailer.Known {
	return mailer.Known{
		Segments: rule.File{"idle_cart": {}}, Templates: map[string]bool{"abandoned_cart": true}, Audiences: map[string]bool{"default": true},
	}
}

func TestACampaignIsReadFromYAMLAndKeptAsWritten(t *testing.T) {
	t.Parallel()
	var f mailer.CampaignFile
	if err := yaml.UnmarshalWithOptions([]byte(example), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if problems := f.Validate(known()); len(problems) > 0 {
		t.Fatal(problems)
	}
	text := must(yaml.Marshal(f["cart"]))(t)
	var back mailer.CampaignSpec
	if err := yaml.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f["cart"], back); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	const wrong = `
Bad:
  kind: promo
  audience: nobody
  trigger: {enters: idle}
  occurrence: {again: 90d}
  not_after: tomorrow
  quiet_hours: {from: "25:00", to: "8"}
  holdout: 95
  steps:
    - {id: first, send: {template: nothing}}
    - {id: first, wait: 1h}
    - {id: both, wait: 1h, send: {template: abandoned_cart}}
    - {id: neither}
    - {id: "Ä", wait: 0h}
empty:
  kind: transactional
  holdout: 5
  quiet_hours: {from: "08:00", to: "08:00"}
  occurrence: {again_after: ""}
`
	var f mailer.CampaignFile
	if err := yaml.UnmarshalWithOptions([]byte(wrong), &f, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range f.Validate(known()) {
		got = append(got, p.Path)
		if p.Message == "" || p.Want == "" {
			t.Errorf("%+v", p)
		}
	}
	want := []string{
		"$.Bad", "$.Bad.kind", "$.Bad.audience", "$.Bad.trigger.enters", "$.Bad.occurrence", "$.Bad.not_after",
		"$.Bad.quiet_hours.from", "$.Bad.quiet_hours.to", "$.Bad.holdout", "$.Bad.steps[0].send.template",
		"$.Bad.steps[1].id", "$.Bad.steps[2]", "$.Bad.steps[3]", "$.Bad.steps[4].id", "$.Bad.steps[4].wait",
		"$.empty.trigger", "$.empty.occurrence", "$.empty.quiet_hours", "$.empty.holdout", "$.empty.steps",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeOfATriggerIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, path, message string }{
		{"enters: idle_cart", "", ""},
		{"leaves: idle_cart", "", ""},
		{"leaves: nothing", ".trigger.leaves", "there is no segment"},
		{"event: form", "", ""},
		{"event: {name: form, where: {id: contact}}", "", ""},
		{"event: {where: {id: contact}}", ".trigger.event.name", "listed"},
		{"order: shipped", "", ""},
		{"order: lost", ".trigger.order", "none of these"},
		{"date: {of: birthday}", "", ""},
		{"date: {of: birthday, before: 7d}", "", ""},
		{"date: {of: birthday, before: 12h}", ".trigger.date.before", "no number of days"},
		{"date: {of: birthday, after: 7d}", ".trigger.date.after", "no after"},
		{"date: {of: registered}", "", ""},
		{"date: {of: registered, after: 3mo}", "", ""},
		{"date: {of: registered, after: soon}", ".trigger.date.after", "no length of time"},
		{"date: {of: last_order}", ".trigger.date.after", "how long after"},
		{"date: {of: first_order, after: 30d, before: 2d}", ".trigger.date.before", "before it happens"},
		{"date: {of: moon}", ".trigger.date.of", "no date of a contact"},
		{"stock: {}", "", ""},
		{"stock: {asked: [stock_alert, '']}", ".trigger.stock.asked", "empty"},
		{`broadcast: {segment: idle_cart, at: "2026-12-01 10:00", every: 3mo, window: 4h}`, "", ""},
		{`broadcast: {segment: nobody, at: "2026-12-01 10:00"}`, ".trigger.broadcast.segment", "there is no segment"},
		{`broadcast: {segment: idle_cart, at: "1.12.2026"}`, ".trigger.broadcast.at", "no day and time"},
		{`broadcast: {segment: idle_cart, at: "2026-12-01 10:00", every: 1d}`, ".trigger.broadcast.every", "no rhythm"},
		{`broadcast: {segment: idle_cart, at: "2026-12-01 10:00", window: long}`, ".trigger.broadcast.window", "no length of time"},
		{"{}", ".trigger", "nothing starts"},
		{"{enters: idle_cart, order: paid}", ".trigger.order", "stands beside enters"},
		{"event: form\n  exit_when_left: true", ".exit_when_left", "not about being in one"},
		{"order: paid\n  occurrence: cart", ".occurrence", "does not fit"},
		{"stock: {}\n  occurrence: order", ".occurrence", "does not fit"},
		{"event: form\n  occurrence: now", ".occurrence", "is no occurrence"},
		{"date: {of: last_order, after: 3d}\n  occurrence: order", "", ""},
		{"order: paid\n  occurrence: {again_after: 2d}", "", ""},
	} {
		text := "one:\n  trigger: {" + strings.Replace(c.text, "\n", "}\n", 1)
		if !strings.Contains(c.text, "\n") {
			text += "}"
		}
		text = strings.Replace(text, "{{", "{", 1)
		if strings.HasPrefix(c.text, "{") {
			text = strings.TrimSuffix(text, "}")
		}
		text += "\n  steps: [{id: first, send: {template: abandoned_cart}}]\n"
		var f mailer.CampaignFile
		if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
			t.Fatal(text, err)
		}
		problems := f.Validate(known())
		if c.path == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %+v", c.text, problems)
			}
			var back mailer.CampaignSpec
			if err := yaml.Unmarshal(must(yaml.Marshal(f["one"]))(t), &back); err != nil || cmp.Diff(f["one"], back) != "" {
				t.Errorf("%s: %v %s", c.text, err, cmp.Diff(f["one"], back))
			}
			continue
		}
		if len(problems) != 1 || problems[0].Path != "$.one"+c.path || !strings.Contains(problems[0].Message, c.message) || problems[0].Want == "" {
			t.Errorf("%s: %+v", c.text, problems)
		}
	}
}

func TestCaps(t *testing.T) {
	t.Parallel()
	c, err := mailer.ParseCap("2 per 7d")
	if err != nil || c != (mailer.Cap{Count: 2, Per: 7 * 24 * time.Hour}) {
		t.Fatal(c, err)
	}
	for _, raw := range []string{"2", "0 per 7d", "two per 7d", "2 per week", "-1 per 1d", "2 per 0d"} {
		if c, err := mailer.ParseCap(raw); err == nil {
			t.Errorf("%q is read as %v", raw, c)
		}
	}
}

func TestTokensHoldNoAddressAndCannotBeMadeUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		old := mailer.Keys{{ID: "2025", Secret: []byte(rapid.StringN(16, 40, -1).Draw(t, "secret"))}}
		s := mailer.Subject{ContactID: rapid.Int64Min(0).Draw(t, "contact"), AudienceID: rapid.Int64Min(0).Draw(t, "audience"), Topic: mailer.TopicMarketing}
		token, err := old.Token(s)
		if err != nil {
			t.Fatal(err)
		}
		rotated := append(mailer.Keys{{ID: "2026", Secret: []byte("another secret")}}, old...)
		if got, err := rotated.Verify(token); err != nil || got != s {
			t.Fatal(got, err)
		}
		if strings.Trim(token, "abcdefghijklmnopqrstuvwxyz0123456789.") != "" {
			t.Fatalf("%s has signs that a mail program may cut at", token)
		}
		if _, err := rotated[:1].Verify(token); err == nil {
			t.Fatal("a key that is gone still verifies")
		}
		at := rapid.IntRange(0, len(token)-1).Draw(t, "at")
		forged := token[:at] + string(rapid.SampledFrom([]rune("abc012.")).Draw(t, "sign")) + token[at+1:]
		if got, err := rotated.Verify(forged); err == nil && forged != token {
			t.Fatalf("%s passes as %+v", forged, got)
		}
		if _, err := rotated.Verify(rapid.String().Draw(t, "noise")); err == nil {
			t.Fatal("noise passes")
		}
	})
}

func TestQuietHoursEndAtTheFirstMinuteThatIsNotQuiet(t *testing.T) {
	t.Parallel()
	zones := []string{"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia"}
	rapid.Check(t, func(t *rapid.T) {
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		from, to := rapid.IntRange(0, 1439).Draw(t, "from"), rapid.IntRange(0, 1439).Draw(t, "to")
		if from == to {
			t.Skip()
		}
		now := time.Unix(rapid.Int64Range(1_760_000_000, 1_800_000_000).Draw(t, "now"), 0).UTC()
		end := mailer.QuietEnd(from, to, now, loc)
		want := now
		for quietAt(from, to, want.In(loc)) { // the obvious way
			want = want.Truncate(time.Minute).Add(time.Minute)
		}
		if !end.Equal(want) {
			t.Fatalf("quiet %d–%d at %s ends %s, want %s", from, to, now.In(loc), end.In(loc), want.In(loc))
		}
	})
}

func quietAt(from, to int, t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	if from < to {
		return m >= from && m < to
	}
	return m >= from || m < to
}

func TestTheDocsShowEveryStateReasonAndTransition(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../docs/campaigns.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for _, s := range mailer.States() {
		for _, r := range mailer.Reasons(s) {
			if !strings.Contains(text, "| `"+string(r)+"` | "+string(s)+" |") {
				t.Errorf("docs/campaigns.md lacks the reason %s of %s", r, s)
			}
			if r.Sentence() == string(r) || r.Sentence() == "" {
				t.Errorf("%s has no sentence", r)
			}
		}
	}
	for _, o := range []string{mailer.Enrolled, mailer.BeforeArming, mailer.History, mailer.TooOld, mailer.Repeated, mailer.NoCart, mailer.NoOrder, mailer.Gone} {
		if !strings.Contains(text, "| `"+o+"` |") {
			t.Errorf("docs/campaigns.md lacks the outcome %s", o)
		}
	}
	var shown []string
	_, ledger, _ := strings.Cut(text, "\n## The ledger\n")
	ledger, _, _ = strings.Cut(ledger, "\n## ")
	for line := range strings.Lines(ledger) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[2], "`") || strings.Contains(cells[1], "`enrolled`") {
			continue
		}
		for from := range strings.SplitSeq(cells[1], ",") {
			from = strings.Trim(from, " `")
			if from == "–" {
				from = ""
			}
			shown = append(shown, from+">"+strings.Trim(cells[2], " `"))
		}
	}
	var legal []string
	for _, from := range append(mailer.States(), "") {
		for _, to := range mailer.States() {
			if mailer.Legal(from, to) {
				legal = append(legal, string(from)+">"+string(to))
			}
		}
	}
	slices.Sort(shown)
	slices.Sort(legal)
	if diff := cmp.Diff(legal, shown); diff != "" {
		t.Error(diff)
	}
}

func TestMetricsHaveGoodNames(t *testing.T) {
	t.Parallel()
	r := prometheus.NewPedanticRegistry()
	mailer.NewMetrics(r)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Fatal(problems, err)
	}
}

func TestMoneyIsWrittenForReaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minor                  int64
		currency, locale, want string
	}{
		{123456, "EUR", "fr", "1\u00a0234,56\u00a0€"},
		{123456789, "EUR", "en", "€1,234,567.89"},
		{-990, "USD", "en-US", "-$9.90"},
		{5000, "JPY", "fr-BE", "5\u00a0000\u00a0¥"},
		{5, "CHF", "en", "CHF\u00a00.05"},
		{0, "", "en", ""},
	} {
		if got := mailer.FormatMoney(c.minor, c.currency, c.locale); got != c.want {
			t.Errorf("%d %s in %s is %q, want %q", c.minor, c.currency, c.locale, got, c.want)
		}
	}
}
