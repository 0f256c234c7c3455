package crm_test

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
)

func TestParseSpan(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	good := map[string]time.Duration{
		"90s": 90 * time.Second, "30m": 30 * time.Minute, "1h": time.Hour, "60d": 60 * day, "6w": 42 * day, "1d12h": 36 * time.Hour, "0s": 0,
	}
	for raw, want := range good {
		if got, err := crm.ParseSpan(raw); err != nil || got != want {
			t.Errorf("ParseSpan(%q) = %v, %v; want %v", raw, got, err, want)
		}
	}
	for _, raw := range []string{"", "5", "d", "1.5h", "-1h", "1 h", "3y", "99999999999999999999d", "999999w", "1h1"} {
		if got, err := crm.ParseSpan(raw); err == nil {
			t.Errorf("ParseSpan(%q) = %v, want an error", raw, got)
		}
	}
}
