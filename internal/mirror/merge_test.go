package mirror_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// people is a bench whose wishes are carried out.
type people struct {
	*bench

	work *mirror.Identities
}

func newPeople(t testing.TB, b *bench) *people {
	leases := store.NewLeases(b.m.DB(), t.Name(), time.Hour)
	if _, err := leases.Acquire(t.Context(), store.LaneLeases(crm.Lanes)...); err != nil {
		t.Fatal(err)
	}
	return &people{bench: b, work: mirror.NewIdentities(b.m, leases)}
}

func (p *people) id(email string) int64 {
	p.tb.Helper()
	c, err := p.m.ContactByEmail(p.tb.Context(), p.m.DB().Read(), p.shop.AudienceID, email)
	if err != nil {
		p.tb.Fatalf("%s: %v", email, err)
	}
	return c.ID
}

func (p *people) tick() crm.Instant { p.at += 1000; return p.at }

func (p *people) merge(from, to string) {
	p.tb.Helper()
	if _, err := p.m.Merge(p.tb.Context(), p.id(from), p.id(to), "test", p.tick()); err != nil {
		p.tb.Fatal(err)
	}
}

func (p *people) split(from string) {
	p.tb.Helper()
	if _, err := p.m.Split(p.tb.Context(), p.id(from), "test", p.tick()); err != nil {
		p.tb.Fatal(err)
	}
}

// settle carries out everything that is wished.
func (p *people) settle() {
	p.tb.Helper()
	for range 1000 {
		_, worked, err := p.work.Step(p.tb.Context(), p.at.Time())
		if err != nil {
			p.tb.Fatal(err)
		}
		if !worked {
			return
		}
	}
	p.tb.Fatal("it never ends")
}

// said is a statement with proof of somebody of that address.
func said(id int, email, state string) crm.Fact {
	return crm.Fact{Ref: crm.Ref{Kind: crm.KindConsent, ID: fmt.Sprint(id)}, Body: &crm.Consent{
		Email: email, State: state, At: at("2026-10-04 10:00"), Text: "Ana may be written to", Source: "till 3", IP: "192.0.2.7",
	}}
}

func eachPeople(t *testing.T, fn func(t *testing.T, p *people)) {
	servers.Each(t, func(t *testing.T, db *store.DB) { fn(t, newPeople(t, newBench(t, db))) })
}

func TestAMergedContactCountsForTheOtherAlsoLater(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		other := p.ensure("second", "America/New_York")
		p.read(customer(5, "a@example.com"), order(1, "5", "a@example.com", 1000), order(2, "", "a@example.com", 500), cart(9, "a@example.com"), event(1, "5", ""))
		p.read(customer(6, "b@example.com"), order(3, "6", "b@example.com", 700))
		p.apply(mirror.Batch{ShopID: other.ID, Facts: []crm.Fact{order(4, "", "A@example.com", 900)}})
		p.dirty()
		a, b := p.id("a@example.com"), p.id("b@example.com")
		p.merge("a@example.com", "b@example.com")
		p.settle()
		for _, d := range p.dirty() {
			if d.Cause != crm.CauseMerge {
				t.Errorf("a merge marks with %s", d.Cause)
			}
		}
		p.read(order(10, "5", "a@example.com", 50), order(11, "", "a@example.com", 60), event(2, "", "a@example.com")) // later, by account and by address
		got := p.profile("b@example.com")
		if len(got.Orders) != 6 || len(got.Carts) != 1 || got.Contact.ID != b {
			t.Fatalf("%d orders, %d carts", len(got.Orders), len(got.Carts))
		}
		if n := p.number("SELECT COUNT(*) FROM events WHERE contact_id=?", b); n != 2 {
			t.Errorf("%d events", n)
		}
		if n := p.number("SELECT COALESCE(SUM(sales),0) FROM contact_stats WHERE contact_id=?", b); n != 6 {
			t.Errorf("%d sales", n)
		}
		if n := p.number("SELECT COUNT(*) FROM contact_stats WHERE contact_id=?", a) + p.number("SELECT live FROM contacts WHERE id=?", a); n != 0 {
			t.Error("the merged contact still counts by itself")
		}
		if c := p.profile("a@example.com").Contact; c.MergedInto != b {
			t.Errorf("merged into %d", c.MergedInto)
		}
		p.split("a@example.com")
		p.settle()
		if n := len(p.profile("a@example.com").Orders); n != 5 {
			t.Errorf("after the split the one has %d orders", n)
		}
		if got := p.profile("b@example.com"); len(got.Orders) != 1 || len(got.Carts) != 0 {
			t.Errorf("after the split the other has %d orders, %d carts", len(got.Orders), len(got.Carts))
		}
	})
}

// A change that is already marked does not turn what a merge brings into something that happened.
func TestAMergeNeverTriggersEvenBesideAChange(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(5, "a@example.com"), order(1, "5", "", 1000))
		p.read(customer(6, "b@example.com"))
		p.merge("a@example.com", "b@example.com")
		p.read(order(2, "6", "", 10))
		p.settle()
		if d := p.dirty()[p.id("b@example.com")]; d.Cause.Triggers() {
			t.Fatalf("marked with %s", d.Cause)
		}
	})
}

func TestConsentsOfMergedContactsAreCautious(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(1, "granted@x.fr"), optIn(crm.KindCustomer, 1, "yes", "withdrawn", ""), customer(2, "none@x.fr"), customer(3, "also@x.fr"), optIn(crm.KindCustomer, 3, "yes", "withdrawn", ""))
		p.merge("granted@x.fr", "none@x.fr")
		p.settle()
		if got := p.consent("none@x.fr"); got != crm.ConsentNone {
			t.Errorf("a grant was carried over to another address: %s", got)
		}
		p.split("granted@x.fr")
		p.settle()
		p.merge("granted@x.fr", "also@x.fr")
		p.settle()
		if got := p.consent("also@x.fr"); got != crm.ConsentGranted {
			t.Errorf("the own grant is %s", got)
		}
		p.dirty()
		p.read(optIn(crm.KindCustomer, 1, "no", "withdrawn", "")) // the merged account withdraws
		if got := p.consent("also@x.fr"); got != crm.ConsentWithdrawn {
			t.Errorf("one address withdrew, the person is %s", got)
		}
		if d := p.dirty()[p.id("also@x.fr")]; d.Cause != crm.CauseConsent {
			t.Errorf("the person is marked with %q", d.Cause)
		}
		p.read(said(1, "granted@x.fr", crm.ConsentGranted), optIn(crm.KindOrder, 77, "yes", "", "granted@x.fr"))
		p.split("granted@x.fr")
		p.settle()
		if a, b := p.consent("granted@x.fr"), p.consent("also@x.fr"); a != crm.ConsentWithdrawn || b != crm.ConsentGranted {
			t.Errorf("after the split: %s and %s", a, b)
		}
		if n := p.number("SELECT COUNT(*) FROM consents WHERE contact_id IN (?,?)", p.id("none@x.fr"), p.id("also@x.fr")); n != 1 {
			t.Errorf("the ledgers of the others have %d rows", n)
		}
	})
}

func TestMergesThatAreRefused(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		for i, email := range []string{"a@x.fr", "b@x.fr", "c@x.fr", "d@x.fr"} {
			p.read(customer(i+1, email))
		}
		stranger := newPeople(t, newWorld(t, p.m, "other audience").b)
		stranger.at = p.at
		stranger.read(customer(1, "a@x.fr"))
		p.merge("a@x.fr", "b@x.fr")
		for _, settled := range []bool{false, true} {
			for _, c := range []struct {
				from, to int64
				why      string
			}{
				{p.id("b@x.fr"), p.id("b@x.fr"), "one contact already"},
				{p.id("c@x.fr"), stranger.id("a@x.fr"), "two audiences"},
				{p.id("a@x.fr"), p.id("c@x.fr"), "split it first"},
				{p.id("b@x.fr"), p.id("a@x.fr"), "other way round"},
				{p.id("c@x.fr"), p.id("a@x.fr"), "merge into that one"},
				{p.id("b@x.fr"), p.id("c@x.fr"), "do not chain"},
			} {
				_, err := p.m.Merge(t.Context(), c.from, c.to, "", p.at)
				if !errors.Is(err, mirror.ErrRefused) || !strings.Contains(err.Error(), c.why) || strings.Contains(err.Error(), "@") {
					t.Errorf("settled %t, %s: %v", settled, c.why, err)
				}
			}
			p.settle()
		}
		if again, err := p.m.Merge(t.Context(), p.id("a@x.fr"), p.id("b@x.fr"), "", p.at); err != nil || again.State != mirror.Merged {
			t.Errorf("the same again: %+v, %v", again, err)
		}
		p.merge("c@x.fr", "b@x.fr") // several into one
		p.split("a@x.fr")
		if _, err := p.m.Merge(t.Context(), p.id("a@x.fr"), p.id("d@x.fr"), "", p.at); !errors.Is(err, mirror.ErrRefused) || !strings.Contains(err.Error(), "in a moment") {
			t.Errorf("while it is being split: %v", err)
		}
		p.settle()
		if n := p.number("SELECT COUNT(*) FROM contact_merges"); n != 2 {
			t.Errorf("%d merges are recorded", n)
		}
		if _, err := p.m.Split(t.Context(), p.id("d@x.fr"), "", p.at); !errors.Is(err, mirror.ErrRefused) {
			t.Errorf("splitting what is not merged: %v", err)
		}
		if _, err := p.m.Merge(t.Context(), 1, p.id("d@x.fr"), "", p.at); !errors.Is(err, mirror.ErrNotFound) {
			t.Errorf("merging nobody: %v", err)
		}
	})
}

// Property: random merges and splits between random reads, carried out at random moments, end where a mirror without
// them is, once everything is split.
func TestMergesAndSplitsLeaveNoTrace(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		m := mirror.New(db)
		work := newPeople(t, &bench{tb: t, m: m}).work
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			reads, _ := history(rt)
			plain, moved := newWorld(t, m, fmt.Sprint("plain-", n)), newWorld(t, m, fmt.Sprint("moved-", n))
			p := &people{moved.b, work}
			for _, r := range reads {
				plain.apply(r)
				moved.apply(r)
				p.at = r.at
				p.randomWishes(rt)
			}
			p.splitAll()
			if diff := cmp.Diff(plain.dump(), moved.dump()); diff != "" {
				rt.Fatalf("never merged (-) and split again (+) differ:\n%s", diff)
			}
		})
	})
}

func (p *people) randomWishes(t *rapid.T) {
	for range rapid.IntRange(0, 3).Draw(t, "wishes") {
		ids := p.contacts()
		if len(ids) == 0 {
			return
		}
		one := func(name string) int64 { return ids[rapid.IntRange(0, 3).Draw(t, name)%len(ids)] }
		var err error
		switch rapid.IntRange(0, 3).Draw(t, "wish") {
		case 0, 1:
			_, err = p.m.Merge(p.tb.Context(), one("from"), one("to"), "", p.at)
		case 2:
			_, err = p.m.Split(p.tb.Context(), one("split"), "", p.at)
		default:
			if _, _, err := p.work.Step(p.tb.Context(), p.at.Time()); err != nil {
				p.tb.Fatal(err)
			}
		}
		if err != nil && !errors.Is(err, mirror.ErrRefused) {
			p.tb.Fatal(err)
		}
	}
}

func (p *people) contacts() []int64 {
	var ids []int64
	if err := p.m.DB().Read().SelectContext(p.tb.Context(), &ids, "SELECT id FROM contacts WHERE audience_id=? ORDER BY email_norm", p.shop.AudienceID); err != nil {
		p.tb.Fatal(err)
	}
	return ids
}

func (p *people) splitAll() {
	for _, id := range p.contacts() {
		if _, err := p.m.Split(p.tb.Context(), id, "", p.at); err != nil && !errors.Is(err, mirror.ErrRefused) {
			p.tb.Fatal(err)
		}
	}
	p.settle()
}

// What the merged address agreed to is not carried over, so the person's mail never goes there.
func TestMailGoesToThePersonsOwnAddress(t *testing.T) {
	eachPeople(t, func(t *testing.T, p *people) {
		p.read(customer(6, "b@example.com"), customer(7, "A@example.com"))
		p.merge("a@example.com", "b@example.com")
		p.settle()
		p.read(order(1, "7", "a@example.com", 1000))
		if c := p.profile("b@example.com").Contact; c.Email != "b@example.com" {
			t.Errorf("it goes to %s", c.Email)
		}
	})
}
