package mirror_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// bench is a mirror with one shop, and the reads that tests make of it.
type bench struct {
	tb   testing.TB
	m    *mirror.Mirror
	shop mirror.Shop
	at   crm.Instant // of the last read
}

var day = crm.Instant(24 * time.Hour / time.Millisecond) //nolint:gochecknoglobals // a constant that Go cannot write

func at(text string) crm.Instant {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return crm.At(t)
}

func newBench(tb testing.TB, db *store.DB) *bench {
	tb.Helper()
	b := &bench{tb: tb, m: mirror.New(db), at: at("2026-11-01 00:00")}
	b.shop = b.ensure("boutique", "Europe/Paris")
	return b
}

func (b *bench) ensure(name, zone string) mirror.Shop {
	b.tb.Helper()
	s, err := b.m.EnsureShop(b.tb.Context(), mirror.ShopSpec{Name: name, Audience: "default", Platform: "woocommerce", Title: name, Zone: zone, Locale: "fr"})
	if err != nil {
		b.tb.Fatal(err)
	}
	if err := b.m.SetProbed(b.tb.Context(), s.ID, connectors.ProbeResult{Currency: "EUR", Zone: "Europe/Paris"}, 0); err != nil {
		b.tb.Fatal(err)
	}
	s, err = b.m.ShopByName(b.tb.Context(), name)
	if err != nil {
		b.tb.Fatal(err)
	}
	return s
}

// read applies facts as a read of a later second.
func (b *bench) read(facts ...crm.Fact) mirror.Result {
	b.tb.Helper()
	b.at += 1000
	return b.apply(mirror.Batch{Facts: facts})
}

func (b *bench) apply(batch mirror.Batch) mirror.Result {
	b.tb.Helper()
	res, err := b.try(batch)
	if err != nil {
		b.tb.Fatal(err)
	}
	return res
}

func (b *bench) try(batch mirror.Batch) (res mirror.Result, err error) {
	if batch.ShopID == 0 {
		batch.ShopID = b.shop.ID
	}
	if batch.ObservedAt == 0 {
		batch.ObservedAt = b.at
	}
	if batch.Cause == "" {
		batch.Cause = crm.CauseChange
	}
	err = b.m.DB().Write(b.tb.Context(), "test.apply", func(tx *store.Tx) error {
		res, err = b.m.Apply(b.tb.Context(), tx, batch)
		return err
	})
	return res, err
}

func (b *bench) profile(email string) crm.Profile {
	b.tb.Helper()
	c, err := b.m.ContactByEmail(b.tb.Context(), b.m.DB().Read(), b.shop.AudienceID, email)
	if err != nil {
		b.tb.Fatalf("%s: %v", email, err)
	}
	ps, err := b.m.Profiles(b.tb.Context(), b.m.DB().Read(), []int64{c.ID}, crm.Needs{Orders: true, Lines: true, Carts: true, Consents: true})
	if err != nil || len(ps) != 1 {
		b.tb.Fatalf("%d profiles, %v", len(ps), err)
	}
	return ps[0]
}

func (b *bench) consent(email string) string {
	for _, c := range b.profile(email).Consents {
		if c.Topic == "marketing" && c.Channel == "email" {
			return c.State
		}
	}
	return crm.ConsentNone
}

// fanOut carries out every redefinition that is queued and tells in how many steps.
func (b *bench) fanOut() (steps int) {
	b.tb.Helper()
	for {
		worked, err := b.m.FanOutStep(b.tb.Context(), b.at)
		if err != nil {
			b.tb.Fatal(err)
		}
		if !worked {
			return steps
		}
		steps++
	}
}

// dirty takes all marks away and gives them by contact.
func (b *bench) dirty() map[int64]mirror.Dirty {
	b.tb.Helper()
	lanes := make([]int, crm.Lanes)
	for i := range lanes {
		lanes[i] = i
	}
	out := map[int64]mirror.Dirty{}
	for {
		marks, err := b.m.DirtyBatch(b.tb.Context(), b.m.DB().Read(), lanes, 100)
		if err != nil {
			b.tb.Fatal(err)
		}
		if len(marks) == 0 {
			return out
		}
		for _, d := range marks {
			out[d.ContactID] = d
		}
		if err := b.m.DB().Write(b.tb.Context(), "test.clear", func(tx *store.Tx) error { return b.m.ClearDirty(b.tb.Context(), tx, marks) }); err != nil {
			b.tb.Fatal(err)
		}
	}
}

func (b *bench) number(query string, args ...any) (n int64) {
	b.tb.Helper()
	if err := b.m.DB().Read().GetContext(b.tb.Context(), &n, query, args...); err != nil {
		b.tb.Fatal(err)
	}
	return n
}

func customer(id int, email string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindCustomer, ID: fmt.Sprint(id)}, Body: &crm.Customer{
		Email: email, FirstName: "Ana", LastName: fmt.Sprint("Diaz ", id), RegisteredAt: at("2025-01-01 10:00"), ModifiedAt: at("2025-01-02 10:00"),
	}}
}

func order(id int, account, email string, total int64) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindOrder, ID: fmt.Sprint(id)}, Body: &crm.Order{
		Number: fmt.Sprint(id), CustomerID: account, Email: email, FirstName: "Bo", State: crm.StateCompleted, CountsAsSale: true, Currency: "EUR", Total: total,
		TotalRaw: fmt.Sprint(total), PlacedAt: at("2026-10-01 10:00") + crm.Instant(id)*1000, ModifiedAt: at("2026-10-02 10:00") + crm.Instant(id)*1000, Country: "FR", City: "Lyon",
		Lines: []crm.Line{{ID: "1", ProductID: "7", Name: "Robe", Quantity: 2, Total: total}},
	}}
}

func refund(id, of int, amount int64) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindRefund, ID: fmt.Sprint(id)}, Body: &crm.Refund{
		OrderID: fmt.Sprint(of), Amount: amount, Currency: "EUR", At: at("2026-10-20 10:00"), Lines: []crm.Line{{ID: "1", ProductID: "7", Quantity: 1, Total: amount}},
	}}
}

func cart(id int, email string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindCart, ID: fmt.Sprint(id)}, Body: &crm.Cart{
		Email: email, Currency: "EUR", Total: 4200, CreatedAt: at("2026-10-30 10:00"), ActiveAt: at("2026-10-30 11:00"), RecoverURL: "https://shop.example/c",
		Lines: []crm.Line{{ID: "1", ProductID: "7", Name: "Robe", Quantity: 1, Total: 4200}},
	}}
}

func gone(f crm.Fact) crm.Fact {
	f.Gone = true
	return f
}

func optIn(kind crm.Kind, id int, value, noMeans, email string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: kind, ID: fmt.Sprint(id)}, Body: &crm.OptIn{
		Topic: "marketing", Channel: "email", Value: value, NoMeans: noMeans, Email: email, SourceAt: at("2026-10-05 10:00"),
	}}
}
