package pushed

import (
	"context"
	"errors"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
)

// CommitTogether writes batches as one group, for tests of what no body can bring past the decoder.
func CommitTogether(ctx context.Context, r *Receiver, shopID int64, at crm.Instant, batches ...push.Batch) ([]Result, error) {
	var ds []*delivery
	for _, b := range batches {
		ds = append(ds, &delivery{shopID: shopID, batch: b, at: at})
	}
	r.commit(ctx, ds)
	var all []Result
	var err error
	for _, d := range ds {
		all, err = append(all, d.results...), errors.Join(err, d.err)
	}
	return all, err
}
