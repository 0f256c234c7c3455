package mailer

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// SplitInfo is a split for the page and the command line.
type SplitInfo struct {
	Step      string        `json:"step"`
	Variants  []VariantInfo `json:"variants"`
	Measure   string        `json:"measure,omitempty"` // what the winner is chosen by; "" when none is
	Winner    string        `json:"winner,omitempty"`  // "" while it is not known
	DecidedAt crm.Instant   `json:"decided_at,omitempty"`
	Why       string        `json:"why,omitempty"`
}

// VariantInfo counts the runs that a variant has had, and those of them whose contact did something, each once.
type VariantInfo struct {
	Variant string `json:"variant"`
	Entered int64  `json:"entered"`
	Goal    int64  `json:"goal"`
	Clicks  int64  `json:"clicks"`
	Orders  int64  `json:"orders"`
}

// splitInfos lists the splits of a definition.
func (c *campaign) splitInfos() []SplitInfo {
	var out []SplitInfo
	for _, s := range c.steps {
		if s.kind != stepSplit {
			continue
		}
		one := SplitInfo{Step: s.id}
		if s.split.winner != nil {
			one.Measure = s.split.winner.goal
		}
		for _, v := range s.split.variants {
			one.Variants = append(one.Variants, VariantInfo{Variant: v.id})
		}
		out = append(out, one)
	}
	return out
}

// countSteps takes a counter of goals, calls or splits; false for any other. What a split had that is no longer in the
// definition is not shown.
func (i *CampaignInfo) countSteps(n countRow) bool {
	kind, rest, _ := strings.Cut(n.Name, ":")
	switch kind {
	case measureGoal:
		i.Goals += n.Total
		return true
	case "call":
		i.Calls[rest] += n.Total
		return true
	case "split":
	default:
		return false
	}
	at := strings.Split(rest, ":")
	for s := range i.Splits {
		for v := range i.Splits[s].Variants {
			variant := &i.Splits[s].Variants[v]
			if len(at) != 3 || i.Splits[s].Step != at[0] || variant.Variant != at[1] {
				continue
			}
			switch at[2] {
			case measureEntered:
				variant.Entered += n.Total
			case measureGoal:
				variant.Goal += n.Total
			case measureClick:
				variant.Clicks += n.Total
			case measureOrder:
				variant.Orders += n.Total
			}
		}
	}
	return true
}

// addWinners tells which splits are decided.
func addWinners(ctx context.Context, q store.Queryer, infos []CampaignInfo) error {
	var rows []winnerRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+winnerCols+" FROM split_winners WHERE variant<>''"); err != nil {
		return fmt.Errorf("reading winners of splits: %w", err)
	}
	for _, r := range rows {
		for i := range infos {
			for s := range infos[i].Splits {
				if one := &infos[i].Splits[s]; infos[i].ID == r.Campaign && one.Step == r.Step && one.Measure != "" {
					one.Winner, one.DecidedAt, one.Why = r.Variant, r.DecidedAt, r.Why
				}
			}
		}
	}
	return nil
}
