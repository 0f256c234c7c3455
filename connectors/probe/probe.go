// Package probe collects what a connection check finds, in sentences that every platform shares.
package probe

import (
	"errors"
	"fmt"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/fault"
)

// MaxSkew is how far the shop's clock may be off: beyond it nothing is sent (DESIGN: time).
const MaxSkew = 5 * time.Minute

// Report is a result in the making.
type Report struct{ connectors.ProbeResult }

// Found notes what is as it should be.
func (r *Report) Found(what, text string) {
	r.Findings = append(r.Findings, connectors.Finding{What: what, OK: true, Text: text})
}

// Wrong notes what has to be mended, and how.
func (r *Report) Wrong(what, text, mend string) {
	r.Findings = append(r.Findings, connectors.Finding{What: what, Text: text, Mend: mend})
}

// Failed notes a check that could not be made.
func (r *Report) Failed(what string, err error) {
	mend := fault.HintOf(err)
	if mend == "" {
		mend = "Try again in a moment; if it stays, look at the shop's own error log."
	}
	text := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Err != nil {
		text = "The check failed: " + f.Err.Error() + "."
	}
	r.Wrong(what, text, mend)
}

// CompareClocks judges ShopTime by now.
func (r *Report) CompareClocks(now time.Time) {
	if r.ShopTime.IsZero() {
		r.Wrong("clock", "The shop's answers carry no Date.", "Let the proxy before the shop pass the Date header on.")
		return
	}
	skew := r.ShopTime.Sub(now.UTC()).Truncate(time.Second)
	if skew > MaxSkew || skew < -MaxSkew {
		r.Wrong("clock", fmt.Sprintf("The shop's clock is %s off this machine's.", skew), "Set both clocks by NTP.")
		return
	}
	r.Found("clock", "The clocks agree.")
}
