package crm_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
)

func TestNormEmail(t *testing.T) {
	for raw, want := range map[string]string{
		" Ana@Example.COM\t":           "ana@example.com",
		"jos\u0065\u0301@example.com":  "jos\u00e9@example.com", // NFD and NFC are one mailbox
		"JOSÉ@example.com":             "josé@example.com",
		"a@Bücher.example":             "a@xn--bcher-kva.example",
		"a@xn--bcher-kva.example":      "a@xn--bcher-kva.example",
		"a+tag@example.com":            "a+tag@example.com", // somebody's own affair
		"\"a@b\"@example.com":          "",
		"a@b@example.com":              "",
		"":                             "",
		"@example.com":                 "",
		"a@":                           "",
		"nobody":                       "",
		"a b@example.com":              "",
		"a@example.com, b@example.com": "",
		"a@exa mple.com":               "",
		strings.Repeat("a", 320) + "@example.com": "",
	} {
		if got := crm.NormEmail(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
}

func TestNormEmailIsIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.String().Draw(t, "local") + "@" + rapid.StringMatching(`[a-zA-Zéü]{1,9}\.[a-z]{2,3}`).Draw(t, "host")
		once := crm.NormEmail(raw)
		if once != "" && crm.NormEmail(once) != once {
			t.Fatalf("%q → %q → %q", raw, once, crm.NormEmail(once))
		}
	})
}

func TestParseMinorRoundsHalfEvenOnce(t *testing.T) {
	for _, c := range []struct {
		raw, currency string
		want          int64
	}{
		{"253.64", "EUR", 25364},
		{"-14.97", "EUR", -1497},
		{"", "EUR", 0},
		{"0.125", "EUR", 12},
		{"0.135", "EUR", 14},
		{"0.1250001", "EUR", 13},
		{"-0.125", "EUR", -12},
		{"993.56", "JPY", 994},
		{"992.5", "JPY", 992},
		{"1.2345", "KWD", 1234},
		{"1.2355", "KWD", 1236},
		{"1234.50", "RSD", 123450}, // ISO says 2; the display tables of CLDR say 0
		{"1.23", "", 123},
		{"1.23", "zzz", 123},
		{"1e3", "EUR", 100000},
		{"92233720368547758.07", "EUR", 9223372036854775807},
	} {
		got, err := crm.ParseMinor(c.raw, c.currency)
		if err != nil || got != c.want {
			t.Errorf("%q %s: %d, %v; want %d", c.raw, c.currency, got, err, c.want)
		}
	}
	for _, raw := range []string{"x", "1,50", "1.2.3", "92233720368547758.08", " 1"} {
		if got, err := crm.ParseMinor(raw, "EUR"); err == nil {
			t.Errorf("%q was read as %d", raw, got)
		}
	}
}

func TestAmountsSurviveBeingWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := crm.Money{Minor: rapid.Int64().Draw(t, "minor"), Currency: rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "CLF", "???"}).Draw(t, "currency")}
		text := m.Decimal()
		if _, ok := new(big.Rat).SetString(text); !ok {
			t.Fatalf("%q is no number", text)
		}
		back, err := crm.ParseMinor(text, m.Currency)
		if err != nil || back != m.Minor {
			t.Fatalf("%d → %s → %d, %v", m.Minor, text, back, err)
		}
	})
}

// Lanes are stored with rows: the function may never change, and it spreads ids that follow each other.
func TestLanesAreStableAndEven(t *testing.T) {
	for id, want := range map[int64]int{0: 0, 1: 38, 42: 20, 1 << 40: 59} {
		if got := crm.LaneOf(id); got != want {
			t.Errorf("contact %d moved from lane %d to %d", id, want, got)
		}
	}
	var n [crm.Lanes]int
	for i := range int64(64000) {
		n[crm.LaneOf(1<<50+i<<22+i)]++
	}
	for lane, size := range n {
		if size < 800 || size > 1200 {
			t.Errorf("lane %d holds %d of 64000", lane, size)
		}
	}
}

func TestLocationKnowsNamesAndOffsets(t *testing.T) {
	july := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for zone, want := range map[string]string{"Europe/Paris": "14:00", "+05:30": "17:30", "-03:00": "09:00", "": "12:00", "Nowhere/At_All": "12:00"} {
		if got := july.In(crm.Contact{Zone: zone}.Location()).Format("15:04"); got != want {
			t.Errorf("%q: %s, want %s", zone, got, want)
		}
	}
}

func TestInstantsKeepTheZeroTime(t *testing.T) {
	if crm.At(time.Time{}) != 0 || !crm.Instant(0).Time().IsZero() {
		t.Error("the zero time is not the zero instant")
	}
	if at := crm.Instant(1234); crm.At(at.Time()) != at || at.Add(time.Second) != 2234 {
		t.Error("instants do not survive being converted")
	}
}
