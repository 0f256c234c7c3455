// Package lifetest lets a shop live: its users edit, order, refund and delete, its webhooks are lost or repeated, Relance
// is restarted, clocks are off; in the end the mirror holds what the shop holds. One story for every platform.
package lifetest

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
)

// Shop is a model shop of a platform.
type Shop interface {
	http.Handler
	// Connect gives a fresh connector with a good key. clock is business time.
	Connect(url string, clock func() time.Time) (connectors.Source, error)
	// Act lets somebody do one thing in the shop: order, edit, refund, delete, (un)subscribe, fill a cart, change the
	// catalogue. pick(n) chooses 0..n-1. It says what was done, and which records a webhook would name.
	Act(pick func(n int) int) (done string, named []crm.Ref)
	// Truth is what the shop holds now, taken from its own tables and not from its API: the texts below.
	Truth() map[crm.Ref]string
}

// The texts of Truth, and of the mirror. A record that is gone has none. Amounts are minor units.

// CustomerText describes an account. consent is "yes", "no" or "" (not mapped or not said).
func CustomerText(email, first, last, consent string) string {
	return fmt.Sprintf("customer %s %s/%s consent %q", crm.NormEmail(email), first, last, consent)
}

// OrderText describes an order; lines is how many it has.
func OrderText(state, currency string, total int64, customerID string, lines int) string {
	return fmt.Sprintf("order %s %d %s of %q, %d lines", state, total, currency, customerID, lines)
}

// RefundText describes a refund.
func RefundText(orderID, currency string, amount int64) string {
	return fmt.Sprintf("refund %d %s of %s", amount, currency, orderID)
}

// CartText describes an open cart; closed ones have no text. items is the sum of quantities.
func CartText(customerID, email string, items int64) string {
	return fmt.Sprintf("cart of %q %q, %d items", customerID, crm.NormEmail(email), items)
}

// ProductText describes a product or variation.
func ProductText(name string, price int64, inStock bool) string {
	return fmt.Sprintf("product %s at %d, in stock %v", name, price, inStock)
}

// CategoryText describes a category.
func CategoryText(name, parent string) string {
	return fmt.Sprintf("category %s under %q", name, parent)
}

// Main is the TestMain body of a package that calls Run: it ends the database server.
func Main(m *testing.M) int { return storetest.Main(m, &servers) }

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

// Spoiler is a Shop some of whose records cannot be read: they may be in quarantine, and nothing else may.
type Spoiler interface {
	// Spoiled lists them.
	Spoiled() []crm.Ref
}

// Run lets shops live on both database engines, a few lives each, and compares the mirror with Truth in the end. clock is
// the shop's clock: business time, off by seconds or minutes; Connect is given business time itself. The shop is alone
// on its server, at rest while Act and Truth are called, and may live after 2027-02-01 only.
//
// A failure names the seed. LIFETEST_SEED=<seed> lives that life alone and again.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) Shop) {
	t.Helper()
	for _, dialect := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, seed := range seeds(t) {
			t.Run(fmt.Sprintf("%s/%d", dialect, seed), func(t *testing.T) {
				if wrong := live(t, dialect, seed, open); wrong != "" {
					t.Errorf("mirror and shop differ. The same life again: LIFETEST_SEED=%d go test -run '%s'\n%s", seed, t.Name(), wrong)
				}
			})
		}
	}
}

func seeds(t *testing.T) []uint64 {
	t.Helper()
	if one := os.Getenv("LIFETEST_SEED"); one != "" {
		seed, err := strconv.ParseUint(one, 10, 64)
		if err != nil {
			t.Fatalf("LIFETEST_SEED: %v", err)
		}
		return []uint64{seed}
	}
	n := 3
	if os.Getenv("RELANCE_SOAK") != "" {
		n = 300
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i) + 1
	}
	return all
}
