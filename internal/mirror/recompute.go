package mirror

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/jmoiron/sqlx"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// person is a contact being recomputed from the rows that refer to it. Nothing here is incremented: the same rows give
// the same contact, in whatever order they came.
type person struct {
	id     int64
	norm   string
	have   *contactRow // nil for a new contact
	merged bool        // into another: what still speaks for its address makes nobody known
	want   contactRow

	stats *statsRow // of the batch's shop
	had   *statsRow
	sold  []string // purchases of the batch's shop that count, one for each order of theirs
	other []string // those of them with amounts that are left out

	order, account, cart, place when // the newest row of each sort seen so far
	email, named, spoken, born  when
}

// contactRow is what recompute decides of a contact. zone stays empty: it is the home shop's.
type contactRow struct {
	Email, First, Last, Locale, Country, Region, City, Birthday string
	Home, Registered, Created, Live                             int64
}

type statsRow struct {
	Currency                                                    string
	Orders, Sales, Revenue, Refunded, First, Last, Carts, Other int64
}

// when orders rows by instant, ties by rank (an account before an order before a cart), shop and id.
type when struct {
	rank int
	at   crm.Instant
	shop int64
	id   string
}

// newer moves mark to w if w is later, and tells so.
func newer(mark *when, w when) bool {
	if cmp.Or(cmp.Compare(w.rank, mark.rank), cmp.Compare(w.at, mark.at), cmp.Compare(w.shop, mark.shop), cmp.Compare(w.id, mark.id)) <= 0 {
		return false
	}
	*mark = w
	return true
}

// Ranks: what a higher one says holds over what a lower one says, however old.
const (
	byTrace = iota + 1 // an event or a statement
	byCart
	byOrder
	byAccount
)

// recompute brings contacts and statistics of everybody touched in line with the rows, and writes what differs.
func (a *applying) recompute() error {
	if err := a.leaveErased(); err != nil {
		return fmt.Errorf("recomputing contacts: %w", err)
	}
	ids := slices.AppendSeq(slices.Collect(maps.Keys(a.touched)), maps.Keys(a.counted))
	slices.Sort(ids)
	ids = slices.Compact(ids)
	for chunk := range slices.Chunk(ids, 1000) {
		people, err := a.loadPeople(chunk)
		if err != nil {
			return fmt.Errorf("recomputing contacts: %w", err)
		}
		if err := a.writePeople(people); err != nil {
			return fmt.Errorf("writing contacts: %w", err)
		}
	}
	return nil
}

func (a *applying) loadPeople(ids []int64) (map[int64]*person, error) {
	people := make(map[int64]*person, len(ids))
	for _, id := range ids {
		people[id] = &person{id: id, norm: a.fresh[id], stats: &statsRow{}}
	}
	known := slices.DeleteFunc(slices.Clone(ids), func(id int64) bool { return a.fresh[id] != "" }) // a new one has no row of its own yet
	for _, load := range []struct {
		ids  []int64
		into func([]int64, map[int64]*person) error
	}{{known, a.loadContacts}, {ids, a.loadAccounts}, {ids, a.loadOrders}, {ids, a.loadCarts}, {ids, a.loadTraces}, {known, a.loadStats}} {
		if err := load.into(load.ids, people); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// loadContacts locks the rows on MySQL: two shops of one audience may concern the same person at once, and the second
// must count what the first wrote.
func (a *applying) loadContacts(ids []int64, people map[int64]*person) error {
	text := `SELECT id, email_norm, email, first_name, last_name, locale, country, region, city, birthday, home_shop_id, registered_at, created_at, live, merged_into
 FROM contacts WHERE id IN (%)`
	if a.tx.Dialect() == store.MySQL {
		text += " ORDER BY id FOR UPDATE"
	}
	return readIn(a.ctx, a.tx, text, nil, ids, func(r *sqlx.Rows) error {
		var id, merged int64
		var norm string
		c := &contactRow{}
		if err := r.Scan(&id, &norm, &c.Email, &c.First, &c.Last, &c.Locale, &c.Country, &c.Region, &c.City, &c.Birthday, &c.Home, &c.Registered, &c.Created, &c.Live, &merged); err != nil {
			return err
		}
		people[id].norm, people[id].have, people[id].merged = norm, c, merged != 0
		return nil
	})
}

func (a *applying) loadAccounts(ids []int64, people map[int64]*person) error {
	return readIn(a.ctx, a.tx, `SELECT c.contact_id, c.shop_id, c.id, c.email, c.email_norm, c.first_name, c.last_name, c.locale, c.birthday, c.registered_at, c.modified_at,
 COALESCE(a.country,''), COALESCE(a.region,''), COALESCE(a.city,'') FROM customers c
 LEFT JOIN addresses a ON a.shop_id=c.shop_id AND a.kind='customer' AND a.id=c.id AND a.gone_at=0
 WHERE c.gone_at=0 AND c.contact_id IN (%)`, nil, ids, func(r *sqlx.Rows) error {
		var id int64
		var w when
		var email, norm, first, last, locale, birthday, country, region, city string
		var registered, modified crm.Instant
		if err := r.Scan(&id, &w.shop, &w.id, &email, &norm, &first, &last, &locale, &birthday, &registered, &modified, &country, &region, &city); err != nil {
			return err
		}
		p := people[id]
		w.rank, w.at = byAccount, registered
		p.refer(registered)
		p.want.Registered = earliest(p.want.Registered, int64(registered))
		if newer(&p.account, w) && p.order.rank == 0 {
			p.want.Home = w.shop
		}
		w.at = max(modified, registered)
		if norm != p.norm {
			email = "" // merged into this contact, whose own address mail goes to
		}
		p.write(w, email, first, last)
		if locale != "" && newer(&p.spoken, w) {
			p.want.Locale = locale
		}
		if birthday != "" && newer(&p.born, w) {
			p.want.Birthday = birthday
		}
		w.rank = byCart // for the place, an order says more than an account's address, which may be years old
		p.live(w, country, region, city)
		return nil
	})
}

func (a *applying) loadOrders(ids []int64, people map[int64]*person) error {
	text := `SELECT contact_id, shop_id, id, email, email_norm, first_name, last_name, state, counts_as_sale, currency, total, refunded, placed_at,
 country, region, city, base_currency, base_total, purchase FROM orders WHERE gone_at=0 AND contact_id IN (%)`
	if a.shop.Currency == "" {
		text += " ORDER BY placed_at, id" // the first sale's currency counts
	}
	return readIn(a.ctx, a.tx, text, nil, ids, func(r *sqlx.Rows) error {
		var o orderRow
		w := when{rank: byOrder}
		var email, norm, first, last, country, region, city string
		var id int64
		if err := r.Scan(&id, &w.shop, &w.id, &email, &norm, &first, &last, &o.state, &o.sale, &o.currency, &o.total, &o.refunded, &w.at, &country, &region, &city,
			&o.baseCurrency, &o.baseTotal, &o.purchase); err != nil {
			return err
		}
		p := people[id]
		p.refer(w.at)
		if newer(&p.order, w) {
			p.want.Home = w.shop
		}
		if norm != p.norm {
			email = "" // ordered under another address of the same account
		}
		p.write(w, email, first, last)
		p.live(w, country, region, city)
		if w.shop == a.b.ShopID {
			o.purchase = cmp.Or(o.purchase, w.id)
			p.add(o, int64(w.at), a.shop.Currency)
		}
		return nil
	})
}

func (a *applying) loadCarts(ids []int64, people map[int64]*person) error {
	return readIn(a.ctx, a.tx, `SELECT contact_id, shop_id, id, email, email_norm, first_name, last_name, created_at, active_at, closed_at, country
 FROM carts WHERE gone_at=0 AND contact_id IN (%)`, nil, ids, func(r *sqlx.Rows) error {
		w := when{rank: byCart}
		var id int64
		var email, norm, first, last, country string
		var created, closed crm.Instant
		if err := r.Scan(&id, &w.shop, &w.id, &email, &norm, &first, &last, &created, &w.at, &closed, &country); err != nil {
			return err
		}
		p := people[id]
		p.refer(cmp.Or(created, w.at))
		if newer(&p.cart, w) && p.order.rank == 0 && p.account.rank == 0 {
			p.want.Home = w.shop
		}
		if norm != p.norm {
			email = ""
		}
		p.write(w, email, first, last)
		w.rank = 0
		p.live(w, country, "", "")
		if closed == 0 && w.shop == a.b.ShopID {
			p.stats.Carts++
		}
		return nil
	})
}

// loadTraces looks for what else refers to people without account, order or cart: an event or a statement makes them known
// too.
func (a *applying) loadTraces(ids []int64, people map[int64]*person) error {
	var unknown []int64
	for _, id := range ids {
		if people[id].want.Live == 0 && !people[id].merged {
			unknown = append(unknown, id)
		}
	}
	home := map[int64]*when{}
	for _, text := range []string{
		"SELECT contact_id, shop_id, MIN(happened_at), MAX(happened_at) FROM events WHERE contact_id IN (%) GROUP BY contact_id, shop_id",
		"SELECT contact_id, shop_id, MIN(stated_at), MAX(stated_at) FROM statements WHERE contact_id IN (%) GROUP BY contact_id, shop_id",
	} {
		if err := readIn(a.ctx, a.tx, text, nil, unknown, func(r *sqlx.Rows) error {
			var id int64
			var first crm.Instant
			w := when{rank: byTrace}
			if err := r.Scan(&id, &w.shop, &first, &w.at); err != nil {
				return err
			}
			p := people[id]
			p.refer(first)
			if home[id] == nil {
				home[id] = &when{}
			}
			if newer(home[id], w) {
				p.want.Home = w.shop
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (a *applying) loadStats(ids []int64, people map[int64]*person) error {
	return readIn(a.ctx, a.tx, `SELECT contact_id, currency, orders, sales, revenue, refunded, first_placed_at, last_placed_at, open_carts, left_out
 FROM contact_stats WHERE shop_id=? AND contact_id IN (%)`, []any{a.b.ShopID}, ids, func(r *sqlx.Rows) error {
		var id int64
		s := &statsRow{}
		err := r.Scan(&id, &s.Currency, &s.Orders, &s.Sales, &s.Revenue, &s.Refunded, &s.First, &s.Last, &s.Carts, &s.Other)
		people[id].had = s
		return err
	})
}

// refer notes a row that refers to the contact.
func (p *person) refer(at crm.Instant) {
	p.want.Live = 1
	p.want.Created = earliest(p.want.Created, int64(at))
}

// write takes address and names as last written; those of an account hold over those of orders, and these over carts'.
func (p *person) write(w when, email, first, last string) {
	if email != "" && newer(&p.email, w) {
		p.want.Email = email
	}
	if (first != "" || last != "") && newer(&p.named, w) {
		p.want.First, p.want.Last = first, last
	}
}

// live takes the place where the contact lives.
func (p *person) live(w when, country, region, city string) {
	if w.rank++; country != "" && newer(&p.place, w) {
		p.want.Country, p.want.Region, p.want.City = country, region, city
	}
}

// earliest is the smaller of two instants of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

type orderRow struct {
	state, currency, baseCurrency, purchase string
	sale                                    bool
	total, refunded, baseTotal              int64
}

// add counts an order. Drafts, what lies in the shop's bin and what an edited order replaced are no orders. Amounts are of
// the shop's currency (of the first sale's books, when the shop's is not known); a sale in another counts with what its
// own rate makes of it, else its purchase is counted in left_out: currencies are never added together.
func (p *person) add(o orderRow, placed int64, shopCurrency string) {
	if o.state == crm.StateDraft || o.state == crm.StateTrash || o.state == crm.StateReplaced {
		return
	}
	s := p.stats
	s.Orders++
	if !o.sale {
		return
	}
	p.sold = append(p.sold, o.purchase)
	s.First, s.Last = earliest(s.First, placed), max(s.Last, placed)
	if s.Currency == "" {
		s.Currency = cmp.Or(shopCurrency, o.baseCurrency, o.currency)
	}
	total, refunded, known := o.in(s.Currency)
	if !known {
		p.other = append(p.other, o.purchase)
		return
	}
	s.Revenue += total - refunded
	s.Refunded += refunded
}

// in gives the order's amounts in a currency, if it is the order's own or that of its books.
func (o orderRow) in(currency string) (total, refunded int64, known bool) {
	switch {
	case o.currency == currency:
		return o.total, o.refunded, true
	case o.baseCurrency == currency && (o.baseTotal != 0 || o.total == 0):
		return o.baseTotal, crm.Scale(o.refunded, o.baseTotal, o.total), true
	}
	return 0, 0, false
}

// distinct counts the different texts, whose order is of no matter.
func distinct(texts []string) int64 {
	if len(texts) > 1 {
		slices.Sort(texts)
		texts = slices.Compact(texts)
	}
	return int64(len(texts))
}

func (a *applying) writePeople(people map[int64]*person) error {
	var inserts, updates, stats, none [][]any
	for _, id := range slices.Sorted(maps.Keys(people)) {
		p := people[id]
		if p.want.Email == "" {
			p.want.Email = p.norm
		}
		row := []any{
			id, a.shop.Audience, crm.LaneOf(id), p.norm, p.want.Email, p.want.First, p.want.Last, p.want.Locale, p.want.Country, p.want.Region,
			p.want.City, p.want.Birthday, p.want.Home, p.want.Registered, p.want.Created, p.want.Live,
		}
		switch {
		case p.have == nil && p.norm != "":
			inserts = append(inserts, row)
			a.touch(id, a.counted[id])
		case p.have != nil && *p.have != p.want:
			updates = append(updates, row)
			a.touch(id, a.counted[id])
		}
		s := p.stats
		s.Sales, s.Other = distinct(p.sold), distinct(p.other)
		switch {
		case *s == statsRow{} && p.had != nil:
			none = append(none, []any{id, a.b.ShopID})
		case *s != statsRow{} && (p.had == nil || *p.had != *s):
			stats = append(stats, []any{id, a.b.ShopID, s.Currency, s.Orders, s.Sales, s.Revenue, s.Refunded, s.First, s.Last, s.Carts, s.Other})
		}
	}
	cols := []string{
		"id", "audience_id", "lane", "email_norm", "email", "first_name", "last_name", "locale", "country", "region",
		"city", "birthday", "home_shop_id", "registered_at", "created_at", "live",
	}
	if err := again(a.tx, a.tx.Insert(a.ctx, "contacts", cols, inserts)); err != nil {
		return err
	}
	// The rows are there, locked, with this very id and address: whichever unique key is looked at, it is the same row.
	if err := a.tx.Upsert(a.ctx, "contacts", []string{"id"}, cols, updates); err != nil {
		return err
	}
	if err := execEach(a.ctx, a.tx, "DELETE FROM contact_stats WHERE contact_id=? AND shop_id=?", none); err != nil {
		return err
	}
	return a.tx.Upsert(a.ctx, "contact_stats", []string{"contact_id", "shop_id"}, []string{
		"contact_id", "shop_id", "currency", "orders", "sales", "revenue", "refunded", "first_placed_at", "last_placed_at", "open_carts", "left_out",
	}, stats)
}
