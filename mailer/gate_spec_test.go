package mailer_test

import (
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/mailer"
)

func TestEveryMistakeOfThePolicyIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	const steps = `
  trigger: {enters: idle_cart}
  steps: [{id: first, send: {template: abandoned_cart}}]
`
	const wrong = `
a:
  priority: 101
  cap: two a week
  ramp: {start: 0, factor: 11, days: 61}
  breaker: {bounced: "5", complained: 101%, after: -1}
  quiet_hours: {from: "24:00", to: noon}` + steps + `
b:
  kind: transactional
  cap: 1 per 7d
  preferred_hour: true
  priority: -1` + steps + `
c:
  occurrence: cart
  preferred_hour: true
  breaker: {bounced: "NaN%", complained: "x%"}
  ramp: {start: 10, factor: -1, days: -1}` + steps + `
good:
  priority: 100
  cap: 1 per 7d
  preferred_hour: true
  breaker: {bounced: 0%, complained: 0.05 %, after: 1}
  ramp: {start: 20}` + steps
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
		"$.a.quiet_hours.from", "$.a.quiet_hours.to", "$.a.priority", "$.a.cap", "$.a.ramp.start", "$.a.ramp.factor", "$.a.ramp.days",
		"$.a.breaker.bounced", "$.a.breaker.complained", "$.a.breaker.after",
		"$.b.preferred_hour", "$.b.priority", "$.b.cap",
		"$.c.preferred_hour", "$.c.ramp.factor", "$.c.ramp.days", "$.c.breaker.bounced", "$.c.breaker.complained",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
