package yeartest

import (
	"github.com/relance/relance/internal/store"
)

// Mistake is something that goes wrong on purpose, to see that the judge notices it: what a defect of the product would
// do, done to the database or to what the product is told.
type Mistake struct {
	Does        []string // SQL, before every look
	HandsTwice  bool     // the provider is handed some mails twice
	NoCap       bool     // the sender's cap is forgotten
	CopySends   bool     // a copy of the database sends
	HidesOrders bool     // orders that were read are not mirrored
	LosesEvents bool     // events are answered and not kept
}

func (w *world) sabotage() {
	if len(w.mistake.Does) == 0 || w.now.Equal(w.start) {
		return
	}
	w.write(func(tx *store.Tx) error {
		for _, text := range w.mistake.Does {
			if _, err := tx.ExecContext(w.ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
}
