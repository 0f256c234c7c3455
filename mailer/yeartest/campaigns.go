package yeartest

import (
	"fmt"
	"maps"

	"github.com/goccy/go-yaml"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
	"github.com/relance/relance/segments/rule"
)

const segmentsYAML = `
cart_left: {match: {all: [{open_cart: {idle_for: 1h, younger_than: 5d}}, {consent: granted}]}}
newcomers: {match: {all: [{registered: {within: 7d}}, {consent: granted}]}}
dormant: {match: {all: [{last_purchase: {older_than: 60d}}, {consent: granted}]}}
subscribers: {match: {consent: granted}}
`

// The scenarios of the starter, with figures that a dozen customers can reach.
const campaignsYAML = `
welcome:
  trigger: {enters: newcomers}
  occurrence: once
  exit_when_left: false
  goal: {order: true, within: 14d}
  not_after: 2d
  quiet_hours: {from: "20:00", to: "09:00"}
  priority: 70
  ramp: {start: 1, factor: 2, days: 4}
  steps:
    - {id: next_morning, wait: {days: 1, at: "10:00"}}
    - {id: hello, send: {template: welcome}}
    - {id: some_days, wait: {days: 4, at: "10:00"}}
    - id: bought_nothing
      branch:
        - if: {never_bought: {}}
          steps:
            - {id: second_try, send: {template: welcome_again}}
abandoned_cart:
  trigger: {enters: cart_left}
  occurrence: cart
  goal: {order: true, within: 7d}
  not_after: 24h
  quiet_hours: {from: "21:00", to: "08:00"}
  priority: 80
  holdout: 15
  steps:
    - {id: reminder, send: {template: abandoned_cart}}
    - {id: a_day, wait: 23h}
    - {id: reassurance, send: {template: abandoned_cart_day}}
    - {id: two_more_days, wait: 2d}
    - {id: last_reminder, send: {template: abandoned_cart_last}}
win_back:
  trigger: {enters: dormant}
  occurrence: {again_after: 180d}
  goal: {order: true, within: 45d}
  not_after: 3d
  quiet_hours: {from: "20:00", to: "09:00"}
  priority: 40
  steps:
    - {id: we_miss_you, send: {template: win_back}}
    - {id: day_70, wait_until: {if: {last_purchase: {older_than: 70d}}, timeout: 11d}}
    - {id: goes_with_it, send: {template: win_back_offer}}
    - {id: day_90, wait_until: {if: {last_purchase: {older_than: 90d}}, timeout: 21d}}
    - {id: your_wishes, send: {template: win_back_wishes}}
birthday:
  trigger: {date: {of: birthday}}
  occurrence: year
  not_after: 12h
  quiet_hours: {from: "21:00", to: "09:00"}
  priority: 60
  steps:
    - {id: nine_o_clock, wait: {days: 0, at: "09:00"}}
    - {id: best_wishes, send: {template: birthday}}
cross_sell:
  trigger: {order: shipped}
  occurrence: order
  exit_if: {bought: {status: [refunded, cancelled], within: 30d}}
  goal: {order: true, within: 24d}
  not_after: 2d
  quiet_hours: {from: "20:00", to: "09:00"}
  priority: 30
  cap: 1 per 30d
  preferred_hour: true
  steps:
    - {id: on_its_way, wait: {days: 10, at: "10:00"}}
    - {id: ideas, send: {template: cross_sell}}
back_in_stock:
  trigger: {stock: {asked: [stock_alert]}}
  goal: {order: true, within: 3d}
  not_after: 12h
  quiet_hours: {from: "21:00", to: "08:00"}
  priority: 90
  steps:
    - {id: it_is_back, send: {template: back_in_stock}}
news:
  trigger: {broadcast: {segment: subscribers, at: "2027-01-12 10:00", every: 1mo, window: 2d}}
  goal: {click: true, within: 5d}
  quiet_hours: {from: "21:00", to: "08:00"}
  priority: 20
  ramp: {start: 2, factor: 1, days: 30}
  steps:
    - id: subject
      split:
        variants:
          - {id: a, steps: [{id: news_a, send: {template: vip}}]}
          - {id: b, steps: [{id: news_b, send: {template: last_call}}]}
        winner: {goal: click, after: 4, decided: 20d}
order_confirmation:
  kind: transactional
  trigger: {order: placed}
  occurrence: order
  not_after: 12h
  steps:
    - {id: confirmation, send: {template: order_confirmation}}
`

// scenario is what a year runs: definitions as they are deployed, and as the judge reads them.
type scenario struct {
	segments  rule.File
	campaigns mailer.CampaignFile
	defs      []*rule.Segment
	renderer  *render.Set
}

func newScenario() (*scenario, error) {
	s := &scenario{}
	if err := yaml.UnmarshalWithOptions([]byte(segmentsYAML), &s.segments, yaml.Strict()); err != nil {
		return nil, err
	}
	if err := yaml.UnmarshalWithOptions([]byte(campaignsYAML), &s.campaigns, yaml.Strict()); err != nil {
		return nil, err
	}
	known := mailer.Known{Segments: s.segments, Audiences: map[string]bool{"default": true}, Templates: map[string]bool{}}
	for _, t := range []string{
		"welcome", "welcome_again", "abandoned_cart", "abandoned_cart_day", "abandoned_cart_last", "win_back", "win_back_offer", "win_back_wishes",
		"birthday", "cross_sell", "back_in_stock", "vip", "last_call", "order_confirmation",
	} {
		known.Templates[t] = true
	}
	if problems := s.campaigns.Validate(known); len(problems) > 0 {
		return nil, fmt.Errorf("campaigns of the year: %v", problems)
	}
	all := maps.Clone(s.segments)
	maps.Copy(all, mailer.ImplicitSegments(s.campaigns))
	var problems any
	if defs, wrong := rule.CompileAll(all); len(wrong) > 0 {
		problems = wrong
	} else {
		s.defs = defs
	}
	if problems != nil {
		return nil, fmt.Errorf("segments of the year: %v", problems)
	}
	set, wrong := render.Load(nil, nil, templates.Default())
	if len(wrong) > 0 {
		return nil, fmt.Errorf("templates of the year: %v", wrong)
	}
	s.renderer = set
	return s, nil
}
