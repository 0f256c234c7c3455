package yeartest

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

func crmAt(t time.Time) crm.Instant { return crm.At(t) }

// What is stopped of an address.
const (
	marketing = iota + 1
	everything
)

const senderCap = "3 per 7d"

// judge knows what may be sent by a model of its own: addresses, who is one person, what was known of orders and carts. It
// shares no code with the gate.
type judge struct {
	*world
	addresses map[string]*address
	accounts  map[string]string // shop/account → address, as known
	boxes     map[string]string // shop/account → what its box was known to say
	orders    map[string]*knownOrder
	carts     map[string]*crm.Cart
	into      map[string]string // address → the one it is merged into
	taken     map[string]int    // campaign, step, address, occurrence → mails that go out
	mails     []judged          // that go out
	attempts  map[int64]int     // by send
	positive  map[int64]bool    // sends of which an event named them
	spoken    map[int64]bool    // sends of which any event came
	soon      []func()          // what is in force once everybody has worked
	looked    int
}

type address struct {
	yes, odd, gone           bool
	yesAt                    crm.Instant
	noMarketing, noMailAtAll bool
}

type knownOrder struct {
	*crm.Order
	account string // shop/account
	firstAt crm.Instant
	history bool
	realAt  crm.Instant // from when on it was known to be one
	wavered bool        // it was a sale, and then not, or the other way round
}

// judged is a mail that goes out, with its row of the ledger.
type judged struct {
	*handedMail
	row sendRow
}

type sendRow struct {
	ID          int64
	Campaign    string
	Step        string
	ContactID   int64 `db:"contact_id"`
	Occurrence  string
	Kind        string
	State       string
	Reason      string
	ShopID      int64       `db:"shop_id"`
	DueAt       crm.Instant `db:"due_at"`
	NotAfter    crm.Instant `db:"not_after"`
	HandedAt    crm.Instant `db:"handed_at"`
	SettledAt   crm.Instant `db:"settled_at"`
	TriggeredAt crm.Instant `db:"triggered_at"`
	EnrolmentID int64       `db:"enrolment_id"`
	About       string
	Home        int64
	Email       string `db:"email_norm"`
}

const selectSends = `SELECT s.id, s.campaign, s.step, s.contact_id, s.occurrence, s.kind, s.state, s.reason, s.shop_id, s.due_at, s.not_after, s.handed_at, s.settled_at,
 s.triggered_at, s.enrolment_id, s.about, COALESCE(c.home_shop_id,0) AS home, COALESCE(c.email_norm,'') AS email_norm
 FROM sends s LEFT JOIN contacts c ON c.id=s.contact_id`

func newJudge(w *world) *judge {
	return &judge{
		world: w, addresses: map[string]*address{}, accounts: map[string]string{}, boxes: map[string]string{}, orders: map[string]*knownOrder{}, carts: map[string]*crm.Cart{},
		into: map[string]string{}, taken: map[string]int{}, attempts: map[int64]int{}, positive: map[int64]bool{}, spoken: map[int64]bool{},
	}
}

func (j *judge) address(email string) *address {
	email = strings.ToLower(email)
	a := j.addresses[email]
	if a == nil {
		a = &address{}
		j.addresses[email] = a
	}
	return a
}

func key(parts ...string) string { return strings.Join(parts, "|") }

// learn notes what a read has made known.
func (j *judge) learn(s *shop, cause crm.Cause, f crm.Fact) {
	account := key(strconv.FormatInt(s.id, 10), f.Ref.ID)
	switch b := f.Body.(type) {
	case *crm.Customer:
		j.accounts[account] = b.Email
	case *crm.OptIn:
		a := j.address(j.accounts[account])
		switch {
		case b.Value == "yes":
			if !a.yes {
				a.yes, a.yesAt = true, j.at()
			}
		case j.boxes[account] == "yes" && b.NoMeans == "withdrawn":
			a.noMarketing = true
		}
		j.boxes[account] = b.Value
	case *crm.Order:
		o := j.orders[account]
		if o == nil {
			o = &knownOrder{firstAt: j.at(), history: cause != crm.CauseChange}
			j.orders[account] = o
		} else if o.CountsAsSale != b.CountsAsSale {
			o.wavered = true
		}
		if o.realAt == 0 && real(b.State) {
			o.realAt = j.at()
		}
		o.Order, o.account = b, key(strconv.FormatInt(s.id, 10), b.CustomerID)
	case *crm.Cart:
		j.carts[account] = b
	}
}

func (j *judge) stopped(email string, what int) {
	a := j.address(email)
	a.noMarketing = true
	a.noMailAtAll = a.noMailAtAll || what == everything
}

func (j *judge) merged(from, to string) { j.into[from] = to }
func (j *judge) split(from string) {
	j.odd(from)
	j.odd(j.into[from])
	delete(j.into, from)
}

func (j *judge) odd(email string)    { j.address(email).odd = true }
func (j *judge) erased(email string) { j.address(email).gone = true }

// group lists the addresses that are one person.
func (j *judge) group(email string) []string {
	root := email
	if to, ok := j.into[email]; ok {
		root = to
	}
	out := []string{root}
	for from, to := range j.into {
		if to == root {
			out = append(out, from)
		}
	}
	slices.Sort(out)
	return out
}

// event notes what was recorded. One that names its mail is in force for whoever moves that mail's contact; of one that
// does not, it has to be found out whose it is.
func (j *judge) event(v mailer.ProviderEvent) {
	stop := 0
	switch {
	case v.Kind == mailer.EventBounced && v.Hard:
		stop = everything
	case v.Kind == mailer.EventComplained, v.Kind == mailer.EventUnsubscribed:
		stop = marketing
	}
	if id, err := strconv.ParseInt(v.SendID, 36, 64); err == nil {
		j.positive[id], j.spoken[id] = true, true
	}
	if stop == 0 {
		return
	}
	if v.SendID != "" {
		j.stopped(v.Email, stop)
		return
	}
	j.soon = append(j.soon, func() { j.stopped(v.Email, stop) })
}

// settled is called when every process has done what it could.
func (j *judge) settled() {
	for _, p := range j.house.processes {
		if p.dead || j.now.Before(p.frozen) {
			return
		}
	}
	for _, do := range j.soon {
		do()
	}
	j.soon = nil
	if j.looked++; j.looked%25 == 0 {
		j.membershipsHold()
	}
}

// look judges what was handed over since it looked last.
func (j *judge) look() {
	j.tb.Helper()
	for _, h := range j.provider.took() {
		j.judgeMail(h)
	}
}

func (j *judge) judgeMail(h *handedMail) {
	j.tb.Helper()
	if j.house.cloned(h.by) {
		j.wrong("a copy of the database sent %s/%s", h.mail.Campaign, h.mail.Step)
		return
	}
	id, err := strconv.ParseInt(h.mail.SendID, 36, 64)
	j.must(err)
	var row sendRow
	j.must(j.db.Read().GetContext(j.ctx, &row, selectSends+" WHERE s.id="+strconv.FormatInt(id, 10)))
	what := h.mail.Campaign + "/" + h.mail.Step + " to " + h.mail.ToEmail
	j.attempts[row.ID]++
	if !h.taken {
		j.tell("%s is not taken: %v", what, h.answered)
		return
	}
	j.report.Mails++
	j.tell("%s is taken (%s), answer %v", what, row.Occurrence, h.answered)
	one := judged{h, row}
	j.never(&one, what)
	j.mails = append(j.mails, one)
	j.provider.report(h)
}

// never holds a mail to what must never be.
func (j *judge) never(m *judged, what string) {
	k := key(m.row.Campaign, m.row.Step, m.mail.ToEmail, m.row.Occurrence)
	if j.taken[k]++; j.taken[k] > 1 {
		j.wrong("%s is sent twice (%s)", what, m.row.Occurrence)
	}
	a := j.address(m.mail.ToEmail)
	isMarketing := j.campaigns[m.row.Campaign].Kind != mailer.KindTransactional
	for _, email := range j.group(m.mail.ToEmail) {
		if other := j.address(email); other.noMailAtAll || isMarketing && other.noMarketing {
			j.wrong("%s is sent against the will of %s", what, email)
		}
	}
	if isMarketing && !a.yes && !a.odd {
		j.wrong("%s is sent without consent", what)
	}
	if a.gone {
		j.wrong("%s is sent to somebody erased", what)
	}
	if _, away := j.into[m.mail.ToEmail]; away {
		j.wrong("%s is sent to somebody who was merged", what)
	}
	if m.at.Before(m.row.TriggeredAt.Time()) || m.row.TriggeredAt < j.armed {
		j.wrong("%s was triggered %s, before arming or after it was sent", what, m.row.TriggeredAt.Time())
	}
	j.bought(m, what)
	j.inTime(m, what)
	if isMarketing {
		j.counted(m, what)
	}
	var out int
	j.must(j.db.Read().GetContext(j.ctx, &out, "SELECT COUNT(*) FROM holdouts WHERE campaign='"+m.row.Campaign+"' AND contact_id="+strconv.FormatInt(m.row.ContactID, 10)))
	if out > 0 {
		j.wrong("%s is sent to the holdout", what)
	}
}

// bought: nobody is reminded of a cart who has ordered since it was begun, as far as was known.
func (j *judge) bought(m *judged, what string) {
	var since crm.Instant
	account := ""
	if rest, ok := strings.CutPrefix(m.row.Occurrence, "cart:"); ok {
		c := j.carts[strings.Replace(rest, ":", "|", 1)]
		if c == nil || c.ClosedBy != "" {
			j.wrong("%s is about a cart that is closed", what)
			return
		}
		since, account = c.CreatedAt, key(strings.Split(rest, ":")[0], c.CustomerID)
	} else if g := j.campaigns[m.row.Campaign].Goal; g != nil && g.Order {
		since = m.row.TriggeredAt + 1
	} else {
		return
	}
	for id, o := range j.orders {
		same := o.account == account
		if account == "" {
			same = j.accounts[o.account] == m.mail.ToEmail
		}
		if same && o.PlacedAt >= since && o.PlacedAt <= j.at() && real(o.State) && (account != "" || o.CountsAsSale) {
			j.wrong("%s, who has ordered %s since", what, id)
		}
	}
}

func real(state string) bool {
	switch state {
	case crm.StatePending, crm.StateCancelled, crm.StateFailed, crm.StateDraft, crm.StateTrash:
		return false
	}
	return true
}

// inTime: not too late, not at night.
func (j *judge) inTime(m *judged, what string) {
	spec := j.campaigns[m.row.Campaign]
	patience := 24 * time.Hour
	if spec.NotAfter != "" {
		patience = span(spec.NotAfter)
	}
	if b := spec.Trigger.Broadcast; b != nil && b.Window != "" {
		patience = span(b.Window)
	}
	if late := m.at.Sub(m.row.DueAt.Time()); late >= patience || late < 0 {
		j.wrong("%s leaves %v after it was due, allowed are %v", what, late, patience)
	}
	if spec.QuietHours == nil {
		return
	}
	loc := j.zoneOf(&m.row)
	clock := m.at.In(loc).Format("15:04")
	from, to := spec.QuietHours.From, spec.QuietHours.To
	if from > to && (clock >= from || clock < to) || from < to && clock >= from && clock < to {
		j.wrong("%s leaves at %s, in quiet hours", what, clock)
	}
}

// zoneOf is where the contact lives: where the shop is that it belongs to.
func (j *judge) zoneOf(r *sendRow) *time.Location {
	for _, s := range j.shops {
		if s.id == r.Home {
			return s.zone
		}
	}
	return time.UTC
}

func span(text string) time.Duration {
	n, _ := strconv.Atoi(text[:len(text)-1])
	return time.Duration(n) * map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
}

// counted: no more marketing than caps and ramps allow.
func (j *judge) counted(m *judged, what string) {
	spec := j.campaigns[m.row.Campaign]
	person := j.group(m.mail.ToEmail)
	all, own, today := 1, 1, 1
	for _, e := range j.mails {
		if j.campaigns[e.row.Campaign].Kind == mailer.KindTransactional {
			continue
		}
		ago := m.at.Sub(e.at)
		same := slices.Contains(person, e.mail.ToEmail)
		if same && ago < 7*24*time.Hour {
			all++
		}
		if same && e.row.Campaign == m.row.Campaign && ago < 30*24*time.Hour {
			own++
		}
		if e.row.Campaign == m.row.Campaign && e.at.Format(time.DateOnly) == m.at.Format(time.DateOnly) {
			today++
		}
	}
	if all > 3 {
		j.wrong("%s is marketing mail no. %d of 7 days, allowed are %s", what, all, senderCap)
	}
	if spec.Cap == "1 per 30d" && own > 1 {
		j.wrong("%s is mail no. %d of the campaign, allowed are %s", what, own, spec.Cap)
	}
	if r := spec.Ramp; r != nil {
		day := m.at.Truncate(24*time.Hour).Sub(j.armed.Time().Truncate(24*time.Hour)) / (24 * time.Hour)
		limit := r.Start
		for range int(day) {
			limit *= r.Factor
		}
		if int(day) < r.Days && today > limit {
			j.wrong("%s is mail no. %d of the day, the ramp allows %d", what, today, limit)
		}
	}
}
