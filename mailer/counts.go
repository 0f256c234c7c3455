package mailer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/relance/relance/internal/store"
)

// tally counts within one transaction what the page shows later without counting rows. The counters are split by
// lane, so that processes do not wait for each other's.
type tally map[tallyKey]int64

type tallyKey struct {
	campaign, name string
	shard          int
}

func (t tally) add(campaign, name string, lane int) { t[tallyKey{campaign, name, lane}]++ }

func (t tally) write(ctx context.Context, tx *store.Tx) error {
	merged := tally{}
	shards := map[[2]string]int{}
	keys := slices.SortedFunc(maps.Keys(t), func(a, b tallyKey) int {
		return cmp.Or(cmp.Compare(a.campaign, b.campaign), cmp.Compare(a.name, b.name), cmp.Compare(a.shard, b.shard))
	})
	for _, k := range keys { // any lane that the transaction has fenced will do as the shard
		pair := [2]string{k.campaign, k.name}
		if _, ok := shards[pair]; !ok {
			shards[pair] = k.shard
		}
		merged[tallyKey{k.campaign, k.name, shards[pair]}] += t[k]
	}
	for _, k := range keys {
		by, ok := merged[k]
		if !ok {
			continue
		}
		n, err := store.Matched(tx.ExecContext(ctx, "UPDATE campaign_counts SET total=total+? WHERE campaign=? AND name=? AND shard=?", by, k.campaign, k.name, k.shard))
		if err == nil && n == 0 {
			err = again(tx, tx.Insert(ctx, "campaign_counts", []string{"campaign", "name", "shard", "total"}, [][]any{{k.campaign, k.name, k.shard, by}}))
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
