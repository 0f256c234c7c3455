package mailer

import (
	"github.com/relance/relance/segments/rule"
)

// CampaignFile is a file of campaigns: immutable id → definition. config decodes it, Validate judges it.
type CampaignFile map[string]CampaignSpec

// CampaignSpec is one campaign as an agency writes it. Lengths of time are crm.ParseSpan texts ("1h", "7d").
type CampaignSpec struct {
	Title        string          `yaml:"title,omitempty"`
	Kind         string          `yaml:"kind,omitempty"`     // marketing (default) | transactional
	Audience     string          `yaml:"audience,omitempty"` // default: "default"
	Topic        string          `yaml:"topic,omitempty"`    // of the consent that marketing needs; default: marketing
	Trigger      TriggerSpec     `yaml:"trigger"`
	Occurrence   Occurrence      `yaml:"occurrence,omitempty"`     // default: by the trigger, see defaultOccurrence
	ExitWhenLeft *bool           `yaml:"exit_when_left,omitempty"` // default: true; only with enters
	ExitIf       *rule.Condition `yaml:"exit_if,omitempty"`        // ends a run as soon as it holds
	Goal         *GoalSpec       `yaml:"goal,omitempty"`           // ends a run that has reached it, and counts it
	NotAfter     string          `yaml:"not_after,omitempty"`      // default: 24h
	QuietHours   *QuietHours     `yaml:"quiet_hours,omitempty"`    // default: none
	// PreferredHour holds mails back, a day at most, until the hour that the contact asked for or is known to act at.
	PreferredHour bool         `yaml:"preferred_hour,omitempty"`
	Priority      int          `yaml:"priority,omitempty"` // 1 to 100, default 50: who goes first when mails compete for a cap
	Cap           string       `yaml:"cap,omitempty"`      // mails of this campaign to one contact, beside the sender's cap
	Holdout       int          `yaml:"holdout,omitempty"`  // percent of contacts who get nothing, for comparison
	Ramp          *RampSpec    `yaml:"ramp,omitempty"`     // default: none
	Breaker       *BreakerSpec `yaml:"breaker,omitempty"`  // default: bounced 5 %, complained 0.3 %, after 200 mails
	Coupon        *CouponSpec  `yaml:"coupon,omitempty"`
	UTM           *UTMSpec     `yaml:"utm,omitempty"` // default: source relance, medium email, campaign <id>
	Steps         []StepSpec   `yaml:"steps"`
}

// TriggerSpec says what starts a campaign: exactly one of its fields.
type TriggerSpec struct {
	Enters    string         `yaml:"enters,omitempty"` // segment
	Leaves    string         `yaml:"leaves,omitempty"` // segment
	Event     *EventSpec     `yaml:"event,omitempty"`  // something that the contact did
	Order     string         `yaml:"order,omitempty"`  // placed | paid | shipped | cancelled | refunded
	Date      *DateSpec      `yaml:"date,omitempty"`   // of the contact
	Stock     *StockSpec     `yaml:"stock,omitempty"`  // a product is back that the contact asked for
	Broadcast *BroadcastSpec `yaml:"broadcast,omitempty"`
}

// EventSpec is an event by its name and properties, as the segment condition did has them; a bare word is a name.
type EventSpec struct {
	Name  string            `yaml:"name"`
	Where map[string]string `yaml:"where,omitempty"` // property → value
}

// DateSpec is a day of the contact's calendar: the day itself, or so many days before or after it.
type DateSpec struct {
	Of     string `yaml:"of"`               // birthday | registered | first_order | last_order
	Before string `yaml:"before,omitempty"` // 7d; only with birthday
	After  string `yaml:"after,omitempty"`  // 30d; not with birthday
}

// StockSpec is a product that is in stock again, for contacts with one of the events since it ran out. The event's
// property product_id names the product.
type StockSpec struct {
	Asked []string `yaml:"asked,omitempty"` // names of events; default: stock_alert
}

// BroadcastSpec is a mailing to whoever is in a segment at an instant.
type BroadcastSpec struct {
	Segment string `yaml:"segment"`
	At      string `yaml:"at"`               // "2026-12-01 10:00" on each contact's own clock
	Every   string `yaml:"every,omitempty"`  // 1w, 2w, 1mo, 3mo, 1y: again and again; default: one time
	Window  string `yaml:"window,omitempty"` // how long after At it may still be sent; default: not_after
}

// GoalSpec is what a campaign is for: one of its fields, after the run began.
type GoalSpec struct {
	Order   bool       `yaml:"order,omitempty"`   // a purchase
	Click   bool       `yaml:"click,omitempty"`   // a clean click in a mail of the campaign
	Event   *EventSpec `yaml:"event,omitempty"`   // something done
	Segment string     `yaml:"segment,omitempty"` // being in it
	Within  string     `yaml:"within,omitempty"`  // counted so long after the run began; default: 5d
}

// StepSpec is one step: an id and exactly one of the others. Steps in branches and variants have ids of the same
// namespace.
type StepSpec struct {
	ID     string            `yaml:"id"`
	Send   *SendSpec         `yaml:"send,omitempty"`
	Wait   *WaitSpec         `yaml:"wait,omitempty"`
	Until  *UntilSpec        `yaml:"wait_until,omitempty"`
	Branch []BranchSpec      `yaml:"branch,omitempty"`
	Split  *SplitSpec        `yaml:"split,omitempty"`
	Set    map[string]string `yaml:"set,omitempty"` // attributes relance.<name> of the contact; "" removes one
	Call   *CallSpec         `yaml:"call,omitempty"`
	End    bool              `yaml:"end,omitempty"` // the run ends here
}

// SendSpec is what a step sends: one of the two.
type SendSpec struct {
	Template string `yaml:"template,omitempty"`
	SendGrid string `yaml:"sendgrid_template,omitempty"` // id of a dynamic template, d-…
}

// WaitSpec is a length of time from when the step before was done (a bare "1d" is For), or so many days of the contact's
// calendar, at a time of day, on some days of the week.
type WaitSpec struct {
	For  string   `yaml:"for,omitempty"`
	Days int      `yaml:"days,omitempty"` // 0 = today or, when At has passed, the next day that fits
	At   string   `yaml:"at,omitempty"`   // "09:00"
	On   []string `yaml:"on,omitempty"`   // mon, tue…; default: any day
}

// UntilSpec waits for something, or until a time-out. Where a run goes on differs only if the next step is a branch.
type UntilSpec struct {
	Order   bool            `yaml:"order,omitempty"`
	Click   bool            `yaml:"click,omitempty"`
	Event   *EventSpec      `yaml:"event,omitempty"`
	If      *rule.Condition `yaml:"if,omitempty"` // any segment condition
	Timeout string          `yaml:"timeout"`
}

// BranchSpec is one way on: the first whose condition holds is taken, then the steps after the branch. One without a
// condition is the last and is taken by everybody left; without such a one they go on after the branch.
type BranchSpec struct {
	If    *rule.Condition `yaml:"if,omitempty"`
	Steps []StepSpec      `yaml:"steps"`
}

// SplitSpec tries variants: each contact gets one, always the same, by a hash of ids. Once a winner is known, whoever comes
// after gets it.
type SplitSpec struct {
	Variants []VariantSpec `yaml:"variants"`
	Winner   *WinnerSpec   `yaml:"winner,omitempty"` // default: none, the shares stay
}

// VariantSpec is one variant of a split.
type VariantSpec struct {
	ID    string     `yaml:"id"`              // immutable
	Share int        `yaml:"share,omitempty"` // weight; default: 1
	Steps []StepSpec `yaml:"steps"`
}

// WinnerSpec chooses the variant that reaches the campaign's goal most often, or the clicks or orders named here.
type WinnerSpec struct {
	Goal string `yaml:"goal,omitempty"` // goal (default) | click | order
	// After is how many contacts each variant must have had; the difference must be clear besides (95 %).
	After   int    `yaml:"after,omitempty"`   // default: 500
	Decided string `yaml:"decided,omitempty"` // so long after the first contact the better one is taken even if it is not clear; default: never
}

// CallSpec posts JSON to a web service, at least once, with the ledger's id as Idempotency-Key.
type CallSpec struct {
	URL    string `yaml:"url"`    // https; plain http on this machine only
	Secret string `yaml:"secret"` // signs the body: see docs/campaigns.md
}

// RampSpec lets a campaign begin carefully: so many mails on the first day after arming, then more each day.
type RampSpec struct {
	Start  int `yaml:"start"`            // mails on the first day
	Factor int `yaml:"factor,omitempty"` // each day this many times more; default: 2
	Days   int `yaml:"days,omitempty"`   // after so many days there is no limit any more; default: 7
}

// BreakerSpec pauses a campaign whose mails of the last 7 days came back or were complained about too often.
type BreakerSpec struct {
	Bounced    string `yaml:"bounced,omitempty"`    // "5%"
	Complained string `yaml:"complained,omitempty"` // "0.3%"
	After      int    `yaml:"after,omitempty"`      // mails delivered or bounced before it judges
}

// CouponSpec gives each contact a code of their own, from a list or made by the shop.
type CouponSpec struct {
	List string          `yaml:"list,omitempty"` // name of a list of codes (relance coupon import)
	Shop *ShopCouponSpec `yaml:"shop,omitempty"`
	// Expires is how long after the mail a code is said to be good for; default: nothing is said.
	Expires string `yaml:"expires,omitempty"`
}

// ShopCouponSpec is a code that the contact's shop is asked to make.
type ShopCouponSpec struct {
	Percent string `yaml:"percent,omitempty"` // "10"
	Amount  string `yaml:"amount,omitempty"`  // "5.00" of the shop's currency
	Prefix  string `yaml:"prefix,omitempty"`  // of the code
}

// UTMSpec is what links to the shop carry for its own statistics.
type UTMSpec struct {
	Source   string `yaml:"source,omitempty"`
	Medium   string `yaml:"medium,omitempty"`
	Campaign string `yaml:"campaign,omitempty"`
	Off      bool   `yaml:"off,omitempty"`
}
