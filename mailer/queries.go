package mailer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// CampaignInfo is a campaign for the page and the command line.
type CampaignInfo struct {
	ID         string      `json:"campaign"`
	Title      string      `json:"title"`
	Kind       string      `json:"kind"`
	State      string      `json:"state"`
	Reason     string      `json:"reason,omitempty"`  // why it is paused
	Starts     string      `json:"starts"`            // what starts it: "when somebody enters idle_cart"
	Segment    string      `json:"segment,omitempty"` // that its trigger looks at, "" when it looks at none
	Audience   string      `json:"audience"`
	Generation int64       `json:"generation"`
	ArmedAt    crm.Instant `json:"armed_at"`
	// Entries counts what might have started it (entries into the segment, orders…) by what became of it (Enrolled, BeforeArming…).
	Entries map[string]int64 `json:"entries"`
	// Sends counts by state; refused ones also as "refused:<reason>".
	Sends map[string]int64 `json:"sends"`
	// CameBack counts mails by what became of them, each once a kind, under the names of CameBack.
	CameBack map[string]int64 `json:"came_back"`
	Goals    int64            `json:"goals"`            // runs that reached the campaign's goal, without the holdout
	Splits   []SplitInfo      `json:"splits,omitempty"` // in the order of the steps
	Calls    map[string]int64 `json:"calls,omitempty"`  // of web services that are over: done, parked, dropped
	// Earned is what its mails brought, by currency, the most orders first.
	Earned []Earned `json:"revenue"`
	// NotMailed says how many were not mailed since it was before arming; "" when none were.
	NotMailed string `json:"not_mailed,omitempty"`

	entered string // how an entry is called, with a blank
}

// Infos lists the campaigns by id.
func Infos(ctx context.Context, q store.Queryer) ([]CampaignInfo, error) {
	var rows []campaignRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns ORDER BY campaign"); err != nil {
		return nil, fmt.Errorf("listing campaigns: %w", err)
	}
	var infos []CampaignInfo
	byID := map[string]int{}
	for _, r := range rows {
		c, err := definition(ctx, q, r.Campaign, r.Generation)
		if err != nil {
			return nil, err
		}
		byID[r.Campaign] = len(infos)
		entered := ""
		if c.on == triggerEnters {
			entered = "entered "
		}
		infos = append(infos, CampaignInfo{
			entered: entered,
			ID:      r.Campaign, Title: c.title, Kind: c.kind, State: r.State, Reason: r.Reason, Starts: c.sentence, Segment: c.segment, Audience: c.audience,
			Generation: r.Generation, ArmedAt: r.ArmedAt, Entries: map[string]int64{}, Sends: map[string]int64{}, CameBack: map[string]int64{},
			Splits: c.splitInfos(), Calls: map[string]int64{},
		})
	}
	counts, err := readCounts(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, n := range counts {
		i, ok := byID[n.Campaign]
		if !ok {
			continue
		}
		state, reason, _ := strings.Cut(n.Name, ":")
		switch {
		case isState(state):
			infos[i].Sends[state] += n.Total
			if reason != "" {
				infos[i].Sends[n.Name] += n.Total
			}
		case slices.Contains(CameBack(), n.Name):
			infos[i].CameBack[n.Name] += n.Total
		case infos[i].countSteps(n):
		default:
			infos[i].Entries[n.Name] += n.Total
		}
	}
	for i := range infos {
		if n := infos[i].Entries[BeforeArming]; n > 0 {
			infos[i].NotMailed = fmt.Sprintf("%d %sbefore arming: not mailed", n, infos[i].entered)
		}
	}
	if err := addEarned(ctx, q, infos); err != nil {
		return nil, err
	}
	return infos, addWinners(ctx, q, infos)
}

func isState(name string) bool {
	for _, s := range States() {
		if name == string(s) {
			return true
		}
	}
	return false
}

type countRow struct {
	Campaign, Name string
	Total          int64
}

// readCounts adds the counters of settled sends and entries to a count of the few rows that are open.
func readCounts(ctx context.Context, q store.Queryer) ([]countRow, error) {
	var kept, open []countRow
	if err := q.SelectContext(ctx, &kept, "SELECT campaign, name, SUM(total) AS total FROM campaign_counts GROUP BY campaign, name"); err != nil {
		return nil, fmt.Errorf("reading counters: %w", err)
	}
	if err := q.SelectContext(ctx, &open, "SELECT campaign, state AS name, COUNT(*) AS total FROM sends WHERE state IN ('ready','deferred','handing') GROUP BY campaign, state"); err != nil {
		return nil, fmt.Errorf("counting open sends: %w", err)
	}
	return append(kept, open...), nil
}

// SendFilter chooses sends; zero fields choose all.
type SendFilter struct {
	Campaign  string
	ContactID int64
	State     State
	Before    int64 // id of the last one of the page before
	Limit     int   // 0 = 50, at most 500
}

// SendInfo is one send for the page and the command line.
type SendInfo struct {
	ID         int64       `json:"-"`
	Send       string      `json:"send" db:"-"`
	Campaign   string      `json:"campaign"`
	Step       string      `json:"step"`
	ContactID  int64       `json:"contact_id" db:"contact_id"`
	Occurrence string      `json:"occurrence"`
	Kind       string      `json:"kind"`
	State      State       `json:"state"`
	Reason     Reason      `json:"reason,omitempty"`
	Sentence   string      `json:"sentence,omitempty" db:"-"` // the reason for people
	Provider   string      `json:"provider,omitempty"`
	Subject    string      `json:"subject,omitempty"`
	MessageID  string      `json:"message_id,omitempty" db:"message_id"`
	CreatedAt  crm.Instant `json:"created_at" db:"created_at"`
	DueAt      crm.Instant `json:"due_at" db:"due_at"`
	UntilAt    crm.Instant `json:"until_at" db:"until_at"` // deferred: when it is looked at again
	HandedAt   crm.Instant `json:"handed_at" db:"handed_at"`
	SettledAt  crm.Instant `json:"settled_at" db:"settled_at"`
	Attempts   int64       `json:"attempts"`
}

const sendInfoCols = "id, campaign, step, contact_id, occurrence, kind, state, reason, provider, subject, message_id, created_at, due_at, until_at, handed_at, settled_at, attempts"

const (
	pageOfSends = 50
	mostSends   = 500
)

// Sends lists the ledger, newest first.
func Sends(ctx context.Context, q store.Queryer, f SendFilter) ([]SendInfo, error) {
	where, args := "", []any{}
	add := func(set bool, clause string, value any) {
		if set {
			where += " AND " + clause
			args = append(args, value)
		}
	}
	add(f.Campaign != "", "campaign=?", f.Campaign)
	add(f.ContactID != 0, "contact_id=?", f.ContactID)
	add(f.State != "", "state=?", string(f.State))
	add(f.Before != 0, "id<?", f.Before)
	limit := pageOfSends
	if f.Limit > 0 {
		limit = min(f.Limit, mostSends)
	}
	var list []SendInfo
	if err := q.SelectContext(ctx, &list, "SELECT "+sendInfoCols+" FROM sends WHERE 1=1"+where+" ORDER BY id DESC LIMIT ?", append(args, limit)...); err != nil {
		return nil, fmt.Errorf("listing sends: %w", err)
	}
	for i := range list {
		list[i].Send, list[i].Sentence = SendID(list[i].ID), list[i].Reason.Sentence()
	}
	return list, nil
}
