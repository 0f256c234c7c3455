package inbox

import (
	"cmp"
	"context"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

const maxBatch = 256 // deliveries of one transaction

// delivery is one verified webhook on its way to the disk.
type delivery struct {
	shopID int64
	refs   []crm.Ref
	topic  string
	at     crm.Instant
	body   []byte
}

// storing writes the deliveries of a group.
type storing struct {
	mirror *mirror.Mirror
	wake   func(int64)
}

func (c storing) commit(ctx context.Context, ds []delivery) error {
	refs := refsByShop(ds)
	err := c.mirror.DB().Write(ctx, "inbox.store", func(tx *store.Tx) error {
		if err := insert(ctx, tx, ds); err != nil {
			return err
		}
		for _, s := range refs {
			if err := c.mirror.AddHints(ctx, tx, s.id, s.refs, s.at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || c.wake == nil {
		return err
	}
	for _, s := range refs {
		c.wake(s.id)
	}
	return nil
}

type shopRefs struct {
	id   int64
	refs []crm.Ref
	at   crm.Instant
}

// refsByShop names each record once, in an order that is the same for everybody: two processes that store the same
// records at once then wait for each other instead of deadlocking.
func refsByShop(ds []delivery) []shopRefs {
	var all []shopRefs
	for _, d := range ds {
		i := slices.IndexFunc(all, func(s shopRefs) bool { return s.id == d.shopID })
		if i < 0 {
			i, all = len(all), append(all, shopRefs{id: d.shopID})
		}
		all[i].refs = append(all[i].refs, d.refs...)
		all[i].at = max(all[i].at, d.at)
	}
	for i := range all {
		slices.SortFunc(all[i].refs, func(a, b crm.Ref) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
		})
		all[i].refs = slices.Compact(all[i].refs)
	}
	slices.SortFunc(all, func(a, b shopRefs) int { return cmp.Compare(a.id, b.id) })
	return all
}
