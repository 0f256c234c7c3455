// Package lifetest lets a shop live: its users edit, order, refund and delete, its webhooks are lost or repeated, Relance
// is restarted, clocks are off; in the end the mirror holds what the shop holds. One story for every platform.
package lifetest

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
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

// Run lets shops live on both database engines. clock is business time, which the shop lives by as well.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) Shop) {
	t.Helper()
	t.Fatal("not written")
}
