package main

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/relance/relance/mailer"
)

// printHealths shows what came back of the mails of each audience, and what is paused.
func printHealths(w io.Writer, audiences map[string]mailer.AudienceHealth) {
	for _, name := range slices.Sorted(maps.Keys(audiences)) {
		h := audiences[name]
		if h.Mails() == 0 && len(h.Paused) == 0 {
			continue
		}
		fmt.Fprintf(w, "mails of audience %s in 7 days: %d delivered, %d bounced (%.2g %%), %d complaints (%.2g %%)\n",
			name, h.Delivered, h.Bounced, h.BouncedPercent(), h.Complained, h.ComplainedPercent())
		for _, id := range slices.Sorted(maps.Keys(h.Paused)) {
			fmt.Fprintf(w, "  LOOK: campaign %s is paused. %s\n", id, h.Paused[id])
		}
	}
}
