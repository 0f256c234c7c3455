package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/internal/store"
)

// tally counts within one transaction what is shown and judged later without counting rows. The counters are split by
// lane, so that processes do not wait for each other's: every lane that is named must be fenced by the transaction.
type tally map[tallyKey]int64

type tallyKey struct {
	campaign string
	day      string // UTC; "" = counted without a day, in campaign_counts instead of campaign_days
	name     string
	shard    int
}

func (t tally) add(campaign, name string, lane int) { t[tallyKey{campaign, "", name, lane}]++ }

// cells are the columns of a counter.
func (k tallyKey) cells() (table string, cols []string, values []any) {
	if k.day == "" {
		return "campaign_counts", []string{"campaign", "name", "shard"}, []any{k.campaign, k.name, k.shard}
	}
	return "campaign_days", []string{"campaign", "day", "name", "shard"}, []any{k.campaign, k.day, k.name, k.shard}
}

func (k tallyKey) compare(o tallyKey) int {
	return cmp.Or(cmp.Compare(k.campaign, o.campaign), cmp.Compare(k.day, o.day), cmp.Compare(k.name, o.name), cmp.Compare(k.shard, o.shard))
}

// merged adds up per counter; any of its lanes will do as the shard.
func (t tally) merged() tally {
	out, shards := tally{}, map[tallyKey]int{}
	for _, k := range slices.SortedFunc(maps.Keys(t), tallyKey.compare) {
		by, counter := t[k], k
		counter.shard = 0
		if _, ok := shards[counter]; !ok {
			shards[counter] = k.shard
		}
		counter.shard = shards[counter]
		out[counter] += by
	}
	return out
}

func (t tally) write(ctx context.Context, tx *store.Tx) error {
	merged := t.merged()
	for _, k := range slices.SortedFunc(maps.Keys(merged), tallyKey.compare) {
		if merged[k] == 0 {
			continue
		}
		table, cols, values := k.cells()
		n, err := execPrepared(ctx, tx, "UPDATE "+table+" SET total=total+? WHERE "+strings.Join(cols, "=? AND ")+"=?", append([]any{merged[k]}, values...)...)
		if err == nil && n == 0 {
			err = again(tx, tx.Insert(ctx, table, append(cols, "total"), [][]any{append(values, merged[k])}))
		}
		if err != nil {
			return fmt.Errorf("counting: %w", err)
		}
	}
	return nil
}

// sendCount names the counter of a settled send: "accepted", "unknown", "refused:stale".
func sendCount(s State, r Reason) string {
	if s == Refused {
		return string(s) + ":" + string(r)
	}
	return string(s)
}
