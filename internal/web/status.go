package web

import "time"

// Overview is everything that the page's first screen and /api/status show. cmd fills it from the rooms' readers; its
// JSON is the same data, instants in RFC 3339 UTC, absent when not known. Texts hold no e-mail address and no secret.
type Overview struct {
	Version   string     `json:"version"`
	Clock     Clock      `json:"clock"`
	Sending   Sending    `json:"sending"`
	Shops     []Shop     `json:"shops"`
	Segments  []Segment  `json:"segments"`
	Campaigns []Campaign `json:"campaigns"`
	Contacts  int64      `json:"contacts"` // live ones
	Mails     int64      `json:"mails"`    // captured, kept here
	Work      Work       `json:"work"`
	Files     Files      `json:"files"`
}

// whole has every list there, so that readers of the JSON need not tell an empty one from none.
func (o Overview) whole() Overview {
	o.Shops, o.Segments, o.Campaigns = listed(o.Shops), listed(o.Segments), listed(o.Campaigns)
	for i := range o.Shops {
		o.Shops[i].Kinds = listed(o.Shops[i].Kinds)
	}
	for i := range o.Campaigns {
		o.Campaigns[i].Sends, o.Campaigns[i].CameBack = listed(o.Campaigns[i].Sends), listed(o.Campaigns[i].CameBack)
		o.Campaigns[i].Earned = listed(o.Campaigns[i].Earned)
	}
	return o
}

func listed[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// Clock is business time. Speed is how many times faster than life it runs; 1 in production.
type Clock struct {
	Now   time.Time `json:"now"`
	Speed int64     `json:"speed"`
}

// Files says which files are in force: those read at LoadedAt. RefusedAt is set while newer ones were read and refused;
// Mistakes says why, each with its place.
type Files struct {
	LoadedAt  time.Time `json:"loaded_at,omitzero"`
	RefusedAt time.Time `json:"refused_at,omitzero"`
	Mistakes  []string  `json:"mistakes,omitempty"`
}

// Sending says whether mail may leave; Reason is the sentence when it may not.
type Sending struct {
	On     bool   `json:"on"`
	Reason string `json:"reason,omitempty"`
}

// Ways in which a shop's records come in.
const (
	WayRead   = "read"   // Relance asks the shop
	WayPush   = "push"   // the shop sends
	WayImport = "import" // lists were imported
)

// Shop is one shop. Trouble is the one thing to look at first, nil when all is well.
type Shop struct {
	Name         string     `json:"name"`
	Title        string     `json:"title,omitempty"`
	Platform     string     `json:"platform"`
	Way          string     `json:"way"`
	Address      string     `json:"address,omitempty"`
	Fault        string     `json:"fault,omitempty"` // why it cannot be read, one sentence
	Trouble      *Trouble   `json:"trouble,omitempty"`
	BackfilledAt time.Time  `json:"backfilled_at,omitzero"`
	ReadAt       time.Time  `json:"read_at,omitzero"` // start of the last complete read of its slowest stream
	LagSeconds   float64    `json:"lag_seconds"`      // business time since ReadAt, 0 when never read
	HookAt       time.Time  `json:"last_webhook_at,omitzero"`
	RecordAt     time.Time  `json:"last_record_at,omitzero"` // when the newest record came in, however it came
	BusyPercent  float64    `json:"busy_percent"`            // of the shop's time that Relance uses
	Kinds        []Kind     `json:"kinds"`
	Progress     []Progress `json:"progress,omitempty"` // streams whose backfill is under way
	Tasks        []Task     `json:"tasks,omitempty"`    // those that need the owner
}

// Trouble says what is wrong and how to mend it, a sentence each.
type Trouble struct {
	What string `json:"what"`
	Mend string `json:"mend,omitempty"`
	Mild bool   `json:"mild,omitempty"` // it goes on by itself; nobody has to come
}

// Task is something to be done in the shop that Relance may not do itself.
type Task struct {
	Kind string `json:"kind"`
	Mend string `json:"mend"`
}

// Kind counts one kind of record: what the shop said it has, what is mirrored, what waits in quarantine, what was erased
// and stays so; and how old the newest complete read of it is.
type Kind struct {
	Kind        string    `json:"kind"`   // plural: customers, orders, products
	Source      int64     `json:"source"` // negative when the shop did not say
	Mirrored    int64     `json:"mirrored"`
	Quarantined int64     `json:"quarantined"`
	Erased      int64     `json:"erased,omitempty"`
	ReadAt      time.Time `json:"read_at,omitzero"`
	LagSeconds  float64   `json:"lag_seconds"` // negative before the first complete read
	Late        bool      `json:"late,omitempty"`
}

// Shown tells whether there is anything to say about the kind.
func (k Kind) Shown() bool {
	return k.Source > 0 || k.Mirrored > 0 || k.Quarantined > 0 || k.Erased > 0 || !k.ReadAt.IsZero()
}

// Progress of one stream's backfill; Total and ETASeconds are 0 when the shop did not say.
type Progress struct {
	Stream     string  `json:"stream"`
	Done       int64   `json:"done"`
	Total      int64   `json:"total"`
	ETASeconds float64 `json:"eta_seconds,omitempty"`
}

// Segment is one segment: its size now, its state (live or building) and how far a build is.
type Segment struct {
	ID         string `json:"id"`
	Title      string `json:"title,omitempty"`
	Size       int64  `json:"size"`
	State      string `json:"state"`
	BuildDone  int64  `json:"build_done,omitempty"`
	BuildTotal int64  `json:"build_total,omitempty"`
	// History is its size at the end of each of the last days (UTC), today the last; empty while it is built.
	History []int64 `json:"history,omitempty"`
}

// Campaign is one campaign: draft, armed or paused, since when, and its sends by state of the ledger.
type Campaign struct {
	ID      string      `json:"id"`
	Title   string      `json:"title,omitempty"`
	Starts  string      `json:"starts,omitempty"` // what starts it, in words
	Segment string      `json:"segment,omitempty"`
	State   string      `json:"state"`
	Reason  string      `json:"reason,omitempty"` // why it is paused
	ArmedAt time.Time   `json:"armed_at,omitzero"`
	Sends   []SendCount `json:"sends"` // states in the order they are to be shown
	// CameBack counts mails by what became of them, those that are to be shown first; 0 is not shown.
	CameBack []Outcome `json:"came_back"`
	Earned   []Earned  `json:"earned"`
	// Days is its revenue of each of the last days (UTC), today the last, in minor units of the first currency of Earned.
	Days []int64 `json:"revenue_by_day,omitempty"`
}

// Earned is what a campaign's mails brought in one currency: amounts are decimal texts.
type Earned struct {
	Currency  string `json:"currency"`
	Orders    int64  `json:"orders"`
	Revenue   string `json:"revenue"`
	Carts     int64  `json:"recovered_carts"`
	CartValue string `json:"recovered_value"`
}

// Outcome is what became of some mails: its name, the same in words to stand after the number, and the number.
type Outcome struct {
	Name  string `json:"name"`
	Text  string `json:"text"`
	Count int64  `json:"count"`
}

// SendCount is how many sends of a campaign stand in a state.
type SendCount struct {
	State string `json:"state"`
	Count int64  `json:"count"`
}

// Work is what has not been done yet.
type Work struct {
	Dirty            int64   `json:"dirty"` // contacts whose segments are to be looked at
	WatermarkSeconds float64 `json:"watermark_lag_seconds"`
	Unknown          int64   `json:"sends_unknown"` // outcome not known: never resent
}

// Contact is one contact as the page shows it: no name, no address.
type Contact struct {
	ID           string    `json:"id"` // opaque public id
	Shop         string    `json:"shop,omitempty"`
	Locale       string    `json:"locale,omitempty"`
	Country      string    `json:"country,omitempty"`
	Orders       int64     `json:"orders"`
	LastOrderAt  time.Time `json:"last_order_at,omitzero"`
	RegisteredAt time.Time `json:"registered_at,omitzero"`
	Segments     []string  `json:"segments,omitempty"`
}

// ContactPage is a page of contacts, newest first; Next is "" on the last one.
type ContactPage struct {
	Total    int64     `json:"total"`
	Contacts []Contact `json:"contacts"`
	Next     string    `json:"next,omitempty"`
}

// MailLine is a captured mail in the list, newest first.
type MailLine struct {
	ID       string    `json:"id"`
	Campaign string    `json:"campaign"`
	Step     string    `json:"step,omitempty"`
	To       string    `json:"to"` // as the outbox knows it: masked before it is shown in a list
	Subject  string    `json:"subject"`
	At       time.Time `json:"at"` // business time
}

// MailPage is a page of captured mails, newest first; Next is "" on the last one.
type MailPage struct {
	Mails []MailLine `json:"mails"`
	Next  string     `json:"next,omitempty"`
}

// Mail is one captured mail whole.
type Mail struct {
	MailLine
	From    string   `json:"from"`
	Headers []Header `json:"headers"` // in the order of the message
	HTML    string   `json:"html"`
	Text    string   `json:"text"`
}

// Header is one header line of a mail.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}
