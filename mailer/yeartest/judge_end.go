package yeartest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/segments"
)

// membershipsHold compares the stored memberships with evaluation from scratch, once nothing waits to be settled.
func (j *judge) membershipsHold() {
	j.tb.Helper()
	for _, s := range j.shops {
		if len(s.unread) > 0 {
			return
		}
	}
	r, err := segments.Verify(j.ctx, j.m, j.now)
	j.must(err)
	for _, d := range r.Differences {
		j.wrong("contact %d, segment %q: stored %v, from scratch %v %s", d.ContactID, d.Segment, d.Stored, d.Computed, d.Detail)
	}
}

// atTheEnd judges the ledger as a whole.
func (j *judge) atTheEnd() {
	j.tb.Helper()
	j.look()
	var rows []sendRow
	j.must(j.db.Read().SelectContext(j.ctx, &rows, selectSends+" ORDER BY s.id"))
	j.report.Ended = map[string]int{}
	took := map[int64]*judged{}
	for i := range j.mails {
		took[j.mails[i].row.ID] = &j.mails[i]
	}
	for i := range rows {
		r := &rows[i]
		j.report.Ended[strings.TrimSpace(r.State+" "+r.Reason)]++
		j.ended(r, took[r.ID])
	}
	j.logged()
	j.countsHold(rows)
	j.runsEnd()
	j.nothingLost()
	j.membershipsHold()
}

func (j *judge) ended(r *sendRow, took *judged) {
	what := fmt.Sprintf("%s/%s to %s (%s)", r.Campaign, r.Step, r.Email, r.Occurrence)
	a := j.address(r.Email)
	switch r.State {
	case "handing":
		j.wrong("%s is handing for ever", what)
	case "ready", "deferred":
		if r.NotAfter < j.at().Add(-time.Hour) {
			j.wrong("%s is still %s %s, not after %s", what, r.State, r.Reason, r.NotAfter.Time())
		}
	case "accepted":
		if took == nil {
			j.wrong("%s is accepted, and the provider never took it", what)
		}
	case "unknown":
		if j.positive[r.ID] && !a.gone {
			j.wrong("%s is unknown (%s), and an event came of it", what, r.Reason)
		}
	case "refused":
		if took != nil && (r.Reason != "never_sent" || j.spoken[r.ID]) {
			j.wrong("%s is refused (%s), and the provider took it", what, r.Reason)
		}
		j.reasonable(r, what)
	default:
		j.wrong("%s is %s", what, r.State)
	}
}

// reasonable tells whether a mail that was not sent was not sent for a reason that holds. Who was merged, split or has
// moved is left out: what was known of them at the time is not kept.
func (j *judge) reasonable(r *sendRow, what string) {
	a := j.address(r.Email)
	if a.odd || a.gone || !strings.Contains(r.Email, "@") || len(j.group(r.Email)) > 1 {
		return
	}
	ok := true
	switch r.Reason {
	case "shop_unreachable", "stale":
		ok = r.SettledAt >= r.NotAfter
	case "suppressed", "consent_withdrawn":
		ok = a.noMarketing
	case "consent_missing":
		ok = !a.yes || a.noMarketing || r.SettledAt <= a.yesAt
	case "rejected", "attempts":
		ok = j.attempts[r.ID] > 0
	case "holdout":
		ok = j.campaigns[r.Campaign].Holdout > 0
	case "bought", "cart_closed":
		ok = strings.HasPrefix(r.Occurrence, "cart:")
	case "goal":
		ok = j.campaigns[r.Campaign].Goal != nil
	case "exit_if":
		ok = j.campaigns[r.Campaign].ExitIf != nil
	case "left_segment":
		ok = j.campaigns[r.Campaign].Trigger.Enters != ""
	case "never_sent":
	default:
		ok = false
	}
	if !ok {
		j.wrong("%s is refused: %s, and that does not hold", what, r.Reason)
	}
}

// logged holds every send's history to the table of legal transitions.
func (j *judge) logged() {
	j.tb.Helper()
	var log []struct {
		SendID int64 `db:"send_id"`
		Seq    int64
		State  string
	}
	j.must(j.db.Read().SelectContext(j.ctx, &log, "SELECT send_id, seq, state FROM send_log ORDER BY send_id, seq"))
	after := map[string]string{
		"": "ready", "ready": "deferred handing refused", "deferred": "deferred handing refused",
		"handing": "accepted refused unknown deferred", "unknown": "accepted refused",
	}
	was, of := "", int64(0)
	for _, l := range log {
		if l.SendID != of {
			was, of = "", l.SendID
		}
		if !strings.Contains(" "+after[was]+" ", " "+l.State+" ") {
			j.wrong("send %d goes from %q to %q", l.SendID, was, l.State)
		}
		was = l.State
	}
}

// countsHold compares what is counted with what is there.
func (j *judge) countsHold(rows []sendRow) {
	j.tb.Helper()
	want := map[string]int64{}
	for i := range rows {
		r := &rows[i]
		switch r.State {
		case "accepted", "unknown":
			want[key(r.Campaign, r.State)]++
		case "refused":
			want[key(r.Campaign, "refused:"+r.Reason)]++
		}
		if r.HandedAt > 0 {
			want[key(r.Campaign, r.HandedAt.Time().Format(time.DateOnly), "handed")]++
		}
	}
	var enrolled []struct {
		Campaign string
		N        int64
	}
	j.must(j.db.Read().SelectContext(j.ctx, &enrolled, "SELECT campaign, COUNT(*) AS n FROM enrolments GROUP BY campaign"))
	for _, e := range enrolled {
		want[key(e.Campaign, "enrolled")] = e.N
	}
	have := map[string]int64{}
	for _, table := range []string{"SELECT campaign, '' AS day, name, SUM(total) AS n FROM campaign_counts GROUP BY campaign, name", "SELECT campaign, day, name, SUM(total) AS n FROM campaign_days WHERE name='handed' GROUP BY campaign, day, name"} {
		var counts []struct {
			Campaign, Day, Name string
			N                   int64
		}
		j.must(j.db.Read().SelectContext(j.ctx, &counts, table))
		for _, c := range counts {
			k := key(c.Campaign, c.Name)
			if c.Day != "" {
				k = key(c.Campaign, c.Day, c.Name)
			}
			have[k] = c.N
		}
	}
	for k, n := range want {
		if have[k] != n {
			j.wrong("%s: counted %d, there are %d", k, have[k], n)
		}
	}
	for k, n := range have {
		_, name, _ := strings.Cut(k, "|")
		if n != 0 && want[k] == 0 && (strings.HasPrefix(name, "refused:") || name == "accepted" || name == "unknown" || name == "enrolled" || strings.HasSuffix(name, "|handed")) {
			j.wrong("%s: counted %d, there are none", k, n)
		}
	}
}

// runsEnd: every run has ended, or waits for something that is to come.
func (j *judge) runsEnd() {
	j.tb.Helper()
	var runs []struct {
		ID       int64
		Campaign string
		Step     string
		State    string
		Reason   string      `db:"exit_reason"`
		DueAt    crm.Instant `db:"due_at"`
		Open     int
	}
	j.must(j.db.Read().SelectContext(j.ctx, &runs, `SELECT e.id, e.campaign, e.step, e.state, e.exit_reason, e.due_at,
 (SELECT COUNT(*) FROM sends s WHERE s.enrolment_id=e.id AND s.state IN ('ready','deferred','handing')) AS open FROM enrolments e`))
	j.report.Runs = len(runs)
	for _, r := range runs {
		switch r.State {
		case "active":
			if r.DueAt <= j.at().Add(-time.Hour) {
				j.wrong("a run of %s stands at %s since %s", r.Campaign, r.Step, r.DueAt.Time())
			}
		case "sending":
			if r.Open == 0 {
				j.wrong("a run of %s waits at %s for a mail that is settled", r.Campaign, r.Step)
			}
		case "exited":
			if r.Reason == "" {
				j.wrong("a run of %s ended at %s without a reason", r.Campaign, r.Step)
			}
		case "done":
		default:
			j.wrong("a run of %s is %s", r.Campaign, r.State)
		}
		if r.Open > 0 && r.State != "sending" {
			j.wrong("a run of %s is %s, and a mail of it waits", r.Campaign, r.State)
		}
	}
}

// nothingLost: whoever should have been enrolled was, at the exact instant.
func (j *judge) nothingLost() {
	j.tb.Helper()
	var runs []struct {
		Campaign    string
		Email       string      `db:"email_norm"`
		TriggeredAt crm.Instant `db:"triggered_at"`
		About       string
	}
	j.must(j.db.Read().SelectContext(j.ctx, &runs, "SELECT e.campaign, c.email_norm, e.triggered_at, e.about FROM enrolments e JOIN contacts c ON c.id=e.contact_id"))
	confirmed, wonBack := map[string]int{}, map[string]bool{}
	for _, r := range runs {
		switch r.Campaign {
		case "order_confirmation":
			confirmed[strings.TrimPrefix(r.About, "order:")]++
		case "win_back":
			wonBack[key(r.Email, strconv.FormatInt(int64(r.TriggeredAt), 10))] = true
		}
	}
	for id, o := range j.orders {
		email := j.accounts[o.account]
		if a := j.address(email); a.odd || a.gone || len(j.group(email)) > 1 {
			continue
		}
		n := confirmed[strings.Replace(id, "|", ":", 1)]
		known := real(o.State) && !o.history && o.PlacedAt >= j.armed && o.realAt <= o.PlacedAt.Add(6*time.Hour)
		if n > 1 || n == 0 && known && j.awake(o) {
			j.wrong("order %s, placed %s, known %s, has %d confirmations", id, o.PlacedAt.Time(), o.firstAt.Time(), n)
		}
	}
	j.wonBack(wonBack)
}

// wonBack: 60 days after the last purchase, to the millisecond, whoever has agreed to it is in the campaign.
func (j *judge) wonBack(runs map[string]bool) {
	const age = 60 * 24 * time.Hour
	for email, a := range j.addresses {
		if a.odd || a.gone || a.noMarketing || !a.yes || a.yesAt > j.armed || len(j.group(email)) > 1 || len(j.outages) > 0 {
			continue
		}
		var last []crm.Instant
		plain := true
		for _, o := range j.orders {
			if j.accounts[o.account] != email {
				continue
			}
			plain = plain && !o.wavered && o.firstAt.Add(-age) < o.PlacedAt
			if o.history {
				plain = plain && !o.wavered
			}
			if o.CountsAsSale {
				last = append(last, o.PlacedAt)
			}
		}
		if !plain {
			continue
		}
		j.exact(email, last, runs)
	}
}

func (j *judge) exact(email string, bought []crm.Instant, runs map[string]bool) {
	const age, again = 60 * 24 * time.Hour, 180 * 24 * time.Hour
	slices.Sort(bought)
	had := crm.Instant(0)
	for i, at := range bought {
		due := at.Add(age)
		if i+1 < len(bought) && bought[i+1] <= due || due < j.armed || due > j.at().Add(-time.Hour) || had > 0 && due < had.Add(again) {
			continue
		}
		had = due
		if !runs[key(email, strconv.FormatInt(int64(due), 10))] {
			j.wrong("%s bought last %s and was not enrolled at %s exactly", email, at.Time(), due.Time())
		}
	}
}

// awake tells whether somebody was there to confirm an order in time.
func (j *judge) awake(o *knownOrder) bool {
	_ = o
	return len(j.outages) == 0
}
