package mailer_test

import (
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/mailer"
)

func TestEveryMistakeOfAStepIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	const (
		send = "{id: z, send: {template: abandoned_cart}}"
		call = "secret: 0123456789abcdef"
	)
	for _, c := range []struct{ step, path, message string }{
		{"{id: a, send: {sendgrid_template: d-0123456789abcdef0123456789abcdef}}", "", ""},
		{"{id: a, send: {sendgrid_template: f-01}}", ".steps[0].send.sendgrid_template", "no id of a dynamic"},
		{"{id: a, send: {template: abandoned_cart, sendgrid_template: d-0123456789abcdef}}", ".steps[0].send", "two templates"},
		{"{id: a, send: {}}", ".steps[0].send.template", "no template"},
		{"{id: z, wait: 1h}", ".steps[1].id", "used twice"},
		{"{id: a}", ".steps[0]", "does nothing"},
		{"{id: a, end: false}", ".steps[0]", "does nothing"},
		{"{id: a, wait: 1h, set: {relance.x: y}}", ".steps[0]", "stand in one step"},
		{"{id: a, end: true}", ".steps[0].end", "never taken"},

		{"{id: a, wait: 1d12h}", "", ""},
		{`{id: a, wait: {days: 2, at: "09:00", on: [mon, tue]}}`, "", ""},
		{"{id: a, wait: {on: [sat]}}", "", ""},
		{"{id: a, wait: {}}", ".steps[0].wait", "how long"},
		{"{id: a, wait: {for: soon}}", ".steps[0].wait", "no length of time"},
		{"{id: a, wait: {for: 1d, days: 1}}", ".steps[0].wait", "beside days"},
		{"{id: a, wait: {days: -1}}", ".steps[0].wait.days", "cannot be waited"},
		{`{id: a, wait: {at: "9h"}}`, ".steps[0].wait.at", "no time of day"},
		{"{id: a, wait: {on: [mon, lundi]}}", ".steps[0].wait.on[1]", "no day of the week"},

		{"{id: a, wait_until: {order: true, timeout: 3d}}", "", ""},
		{"{id: a, wait_until: {event: {name: wished, where: {list: noel}}, timeout: 3d}}", "", ""},
		{"{id: a, wait_until: {if: {segment: idle_cart}, timeout: 3d}}", "", ""},
		{"{id: a, wait_until: {order: true}}", ".steps[0].wait_until.timeout", "at most"},
		{"{id: a, wait_until: {timeout: 3d}}", ".steps[0].wait_until", "nothing is named"},
		{"{id: a, wait_until: {order: true, click: true, timeout: 3d}}", ".steps[0].wait_until", "more than one"},
		{"{id: a, wait_until: {event: '', timeout: 3d}}", ".steps[0].wait_until.event.name", "nothing is listed"},
		{"{id: a, wait_until: {if: {segment: idle_card}, timeout: 3d}}", ".steps[0].wait_until.if.segment", "no segment"},

		{"{id: a, branch: [{if: {locale: fr}, steps: [{id: b, wait: 1h}]}, {steps: [{id: c, end: true}]}]}", "", ""},
		{"{id: a, branch: []}", ".steps[0].branch", "no ways"},
		{"{id: a, branch: [{steps: [{id: b, wait: 1h}]}]}", ".steps[0].branch[0]", "no condition"},
		{"{id: a, branch: [{if: {locale: fr}, steps: []}]}", ".steps[0].branch[0].steps", "no steps"},
		{
			"{id: a, branch: [{if: {locale: fr}, steps: [{id: b, wait: 1h}]}, {steps: [{id: c, wait: 1h}]}, {if: {locale: en}, steps: [{id: d, wait: 1h}]}]}",
			".steps[0].branch[1]", "never taken",
		},
		{"{id: a, branch: [{if: {locale: fr}, steps: [{id: a, wait: 1h}]}]}", ".steps[0].branch[0].steps[0].id", "used twice"},
		{"{id: a, branch: [{if: {bought: {at_least: -1}}, steps: [{id: b, wait: 1h}]}]}", ".steps[0].branch[0].if.bought.at_least", "-1"},

		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, share: 3, steps: []}]}}", "", ""},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}], winner: {goal: click, after: 100, decided: 7d}}}", "", ""},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}]}}", ".steps[0].split.variants", "nothing to compare"},
		{"{id: a, split: {variants: [{id: one, steps: []}, {id: two, steps: []}]}}", ".steps[0].split.variants", "no variant has steps"},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: one, steps: []}]}}", ".steps[0].split.variants[1].id", "used twice"},
		{"{id: a, split: {variants: [{id: One, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}]}}", ".steps[0].split.variants[0].id", "no id of a variant"},
		{"{id: a, split: {variants: [{id: one, share: -2, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}]}}", ".steps[0].split.variants[0].share", "no share"},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}], winner: {}}}", ".steps[0].split.winner", "no goal"},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}], winner: {goal: sales}}}", ".steps[0].split.winner.goal", "nothing that is counted"},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}], winner: {goal: order, after: -1}}}", ".steps[0].split.winner.after", "no number"},
		{"{id: a, split: {variants: [{id: one, steps: [{id: b, wait: 1h}]}, {id: two, steps: []}], winner: {goal: order, decided: late}}}", ".steps[0].split.winner.decided", "no length"},

		{"{id: a, set: {relance.vip: gold, relance.preferred_hour: '18', relance.locale: fr-BE, relance.birthday: '1985-04-23'}}", "", ""},
		{"{id: a, set: {relance.vip: ''}}", "", ""},
		{"{id: a, set: {}}", ".steps[0].set", "nothing is set"},
		{"{id: a, set: {vip: gold}}", ".steps[0].set.vip", "belongs to the shops"},
		{"{id: a, set: {relance.VIP: gold}}", ".steps[0].set.'relance.VIP'", "no name"},
		{"{id: a, set: {relance.preferred_hour: '24'}}", ".steps[0].set.'relance.preferred_hour'", "no hour"},
		{"{id: a, set: {relance.birthday: 23.4.}}", ".steps[0].set.'relance.birthday'", "no day"},
		{"{id: a, set: {relance.locale: French}}", ".steps[0].set.'relance.locale'", "no language"},

		{"{id: a, call: {url: 'https://hooks.example.com/x', " + call + "}}", "", ""},
		{"{id: a, call: {url: 'http://127.0.0.1:8080/x', " + call + "}}", "", ""},
		{"{id: a, call: {url: 'http://hooks.example.com/x', " + call + "}}", ".steps[0].call.url", "readable on its way"},
		{"{id: a, call: {url: 'https://me:word@hooks.example.com/x', " + call + "}}", ".steps[0].call.url", "password"},
		{"{id: a, call: {url: hooks, " + call + "}}", ".steps[0].call.url", "what to call"},
		{"{id: a, call: {url: 'https://hooks.example.com/x', secret: short}}", ".steps[0].call.secret", "no secret"},
	} {
		f := mailer.CampaignFile{}
		if err := yaml.UnmarshalWithOptions([]byte("one:\n  trigger: {enters: idle_cart}\n  steps:\n    - "+c.step+"\n    - "+send+"\n"), &f, yaml.Strict()); err != nil {
			t.Fatal(c.step, err)
		}
		problems := f.Validate(known())
		if c.path == "" {
			if len(problems) > 0 {
				t.Errorf("%s: %+v", c.step, problems)
			}
			var back mailer.CampaignSpec
			if err := yaml.Unmarshal(must(yaml.Marshal(f["one"]))(t), &back); err != nil || cmp.Diff(f["one"], back) != "" {
				t.Errorf("%s: %v %s", c.step, err, cmp.Diff(f["one"], back))
			}
			continue
		}
		if len(problems) != 1 || problems[0].Path != "$.one"+c.path || !strings.Contains(problems[0].Message, c.message) || problems[0].Want == "" {
			t.Errorf("%s: %+v", c.step, problems)
		}
	}
}

func TestEveryMistakeOfAGoalIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ goal, path, message string }{
		{"goal: {order: true}", "", ""},
		{"goal: {click: true, within: 2d}", "", ""},
		{"goal: {event: wished}", "", ""},
		{"goal: {segment: idle_cart}", "", ""},
		{"exit_if: {segment: idle_cart}", "", ""},
		{"goal: {}", ".goal", "nothing is named"},
		{"goal: {order: true, segment: idle_cart}", ".goal", "more than one"},
		{"goal: {segment: idle}", ".goal.segment", "no segment"},
		{"goal: {order: true, within: later}", ".goal.within", "no length"},
		{"exit_if: {segment: idle}", ".exit_if.segment", "no segment"},
	} {
		f := mailer.CampaignFile{}
		text := "one:\n  trigger: {enters: idle_cart}\n  " + c.goal + "\n  steps: [{id: z, send: {template: abandoned_cart}}]\n"
		if err := yaml.UnmarshalWithOptions([]byte(text), &f, yaml.Strict()); err != nil {
			t.Fatal(c.goal, err)
		}
		problems := f.Validate(known())
		if c.path == "" && len(problems) == 0 {
			continue
		}
		if len(problems) != 1 || problems[0].Path != "$.one"+c.path || !strings.Contains(problems[0].Message, c.message) {
			t.Errorf("%s: %+v", c.goal, problems)
		}
	}
}
