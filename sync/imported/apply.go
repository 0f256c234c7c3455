package imported

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// pageRows is how many rows one transaction takes.
const pageRows = 500

// homePrefix begins the name of an audience's home of imported people. No file in shops/ can be called so.
const homePrefix = mirror.PlatformImport + ":"

// Home gives the shop in which an audience's imported people live: it is in no file, nobody reads it, and it needs no
// backfill. zone and locale are those of people of whom nothing better is known.
func Home(ctx context.Context, m *mirror.Mirror, audience, zone, locale string, now crm.Instant) (mirror.Shop, error) {
	shop, err := m.EnsureShop(ctx, mirror.ShopSpec{
		Name: homePrefix + audience, Audience: audience, Platform: mirror.PlatformImport, Title: "Imported lists", Zone: zone, Locale: locale,
	})
	if err != nil || shop.BackfilledAt > 0 {
		return shop, err
	}
	err = m.DB().Write(ctx, "import.home", func(tx *store.Tx) error { return m.SetBackfilled(ctx, tx, shop.ID, now) })
	if err != nil {
		return shop, fmt.Errorf("making a home for imported people: %w", err)
	}
	return m.ShopByName(ctx, shop.Name)
}

// Applied is what an import did.
type Applied struct {
	Resumed   int `json:"resumed"`   // rows that an earlier, cut off import of this list had applied
	New       int `json:"new"`       // people who were in no imported list before
	Changed   int `json:"changed"`   // of whom the list said something new
	Unchanged int `json:"unchanged"` // of whom all was known
}

// Apply writes a list without mistakes, page by page, each page with how far it has come: cut off anywhere, the same list
// goes on where it was. Imported people trigger nothing: the cause is backfill. progress is told of rows done; may be nil.
func (l *List) Apply(ctx context.Context, m *mirror.Mirror, shop mirror.Shop, progress func(done, total int)) (Applied, error) {
	if l.ErrorCount > 0 {
		return Applied{}, ErrMistakes
	}
	a := &applying{ctx: ctx, m: m, shop: shop, l: l, at: crm.At(l.o.Now), total: l.Rows, progress: progress}
	if err := m.SetShopFault(ctx, shop.ID, underWay(l.o.File), a.at); err != nil {
		return a.done, err
	}
	if err := a.begin(); err != nil {
		return a.done, fmt.Errorf("beginning the import: %w", err)
	}
	err := l.pass(&reader{order: l.dates}, a.take)
	if err == nil {
		err = a.flush(true)
	}
	if err != nil {
		return a.done, fmt.Errorf("importing after row %d: %w", a.rows, err)
	}
	return a.done, a.end()
}

// underWay is what people see of the shop meanwhile, and for as long as a list stays cut off.
func underWay(file string) error {
	return &fault.Error{
		Class: fault.Operator, Op: "importing " + file, Err: errors.New("it is under way, or was cut off"),
		Hint: "If nobody is importing it now, run the same relance import again: it goes on where it was",
	}
}

// end takes the word back unless another list is unfinished.
func (a *applying) end() error {
	var files []string
	if err := a.m.DB().Read().SelectContext(a.ctx, &files, "SELECT file FROM imports WHERE shop_id=? AND finished_at=0 ORDER BY started_at", a.shop.ID); err != nil {
		return fmt.Errorf("looking for unfinished imports: %w", err)
	}
	if len(files) > 0 {
		return a.m.SetShopFault(a.ctx, a.shop.ID, underWay(files[0]), a.at)
	}
	return a.m.SetShopFault(a.ctx, a.shop.ID, nil, a.at)
}

// applying is one import under way.
type applying struct {
	ctx      context.Context // of the one call of Apply that this lives for
	m        *mirror.Mirror
	shop     mirror.Shop
	l        *List
	at       crm.Instant
	total    int
	progress func(done, total int)

	key  []byte
	skip int // rows applied earlier
	rows int // rows seen, applied ones and the page's
	page []person
	done Applied
}

// metaKey is the row of meta with the key that ids of imported people are made with: an id tells nobody's address.
const metaKey = "import_key"

// begin notes the import and finds how far an earlier one of the same list has come.
func (a *applying) begin() error {
	return a.m.DB().Write(a.ctx, "import.begin", func(tx *store.Tx) error {
		if err := a.loadKey(tx); err != nil {
			return err
		}
		var have struct {
			Done     int   `db:"rows_done"`
			Finished int64 `db:"finished_at"`
		}
		err := tx.GetContext(a.ctx, &have, "SELECT rows_done, finished_at FROM imports WHERE shop_id=? AND content=?", a.shop.ID, a.l.sum)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		a.skip = 0
		if err == nil && have.Finished == 0 {
			a.skip = have.Done
			a.done.Resumed = have.Done
			return nil
		}
		return tx.Upsert(a.ctx, "imports", []string{"shop_id", "content"}, []string{"shop_id", "content", "file", "row_count", "rows_done", "started_at", "finished_at"},
			[][]any{{a.shop.ID, a.l.sum, clip(a.l.o.File), a.total, 0, a.at, 0}})
	})
}

func clip(s string) string {
	if r := []rune(s); len(r) > 255 {
		return string(r[:255])
	}
	return s
}

func (a *applying) loadKey(tx *store.Tx) error {
	var text string
	err := tx.GetContext(a.ctx, &text, "SELECT value FROM meta WHERE name=?", metaKey)
	if errors.Is(err, sql.ErrNoRows) {
		fresh := make([]byte, 32)
		_, _ = rand.Read(fresh) // never fails: it crashes the program instead
		text = hex.EncodeToString(fresh)
		if err = tx.Insert(a.ctx, "meta", []string{"name", "value"}, [][]any{{metaKey, text}}); tx.Dialect().Duplicate(err) {
			return fmt.Errorf("%w: %w", store.ErrAgain, err)
		}
	}
	if err != nil {
		return fmt.Errorf("finding the key of ids: %w", err)
	}
	a.key, err = hex.DecodeString(text)
	return err
}

// id names a person, or a statement of theirs, for good: the same list gives the same ids.
func (a *applying) id(prefix string, parts ...string) string {
	h := hmac.New(sha256.New, a.key)
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return prefix + hex.EncodeToString(h.Sum(nil)[:20])
}

func (a *applying) take(_ int, p person) error {
	if a.rows++; a.rows <= a.skip {
		return nil
	}
	if a.page = append(a.page, p); len(a.page) < pageRows {
		return nil
	}
	return a.flush(false)
}

// flush commits the page and how far the list is.
func (a *applying) flush(last bool) error {
	var now Applied
	err := a.m.DB().WriteBackground(a.ctx, "import.page", func(tx *store.Tx) error {
		now = a.done
		if err := a.write(tx, &now); err != nil {
			return err
		}
		finished := crm.Instant(0)
		if last {
			finished = a.at
		}
		_, err := tx.ExecContext(a.ctx, "UPDATE imports SET rows_done=?, finished_at=? WHERE shop_id=? AND content=?", a.rows, finished, a.shop.ID, a.l.sum)
		return err
	})
	if err != nil {
		a.rows -= len(a.page)
		return err
	}
	a.done, a.page = now, a.page[:0]
	if a.progress != nil {
		a.progress(a.rows, a.total)
	}
	return nil
}

// write applies the page: what each row says over what is known of the person, and its statement of consent.
func (a *applying) write(tx *store.Tx, out *Applied) error {
	if len(a.page) == 0 {
		return nil
	}
	observed, err := a.m.ObserveNow(a.ctx, tx, a.shop.ID, a.at)
	if err != nil {
		return err
	}
	var ids []string
	for _, p := range a.page {
		ids = append(ids, a.id("c", p.norm))
	}
	known, err := a.m.Accounts(a.ctx, tx, a.shop.ID, ids)
	if err != nil {
		return err
	}
	before := make(map[string]mirror.Account, len(known))
	for id, k := range known {
		before[id] = k.Clone()
	}
	var facts []crm.Fact
	seen := map[string]bool{}
	for i, p := range a.page {
		k := known[ids[i]]
		p.merge(&k.Customer, &k.Address)
		known[ids[i]] = k
		seen[ids[i]] = true
		facts = append(facts, a.statement(p)...)
	}
	for id := range seen {
		k := known[id]
		was, had := before[id]
		switch {
		case !had:
			out.New++
		case was.Equal(k):
			out.Unchanged++
			continue
		default:
			out.Changed++
		}
		ref := crm.Ref{Kind: crm.KindCustomer, ID: id}
		facts = append(facts, crm.Fact{Ref: ref, Body: &k.Customer})
		if k.Address != (crm.Address{}) {
			facts = append(facts, crm.Fact{Ref: ref, Body: &k.Address})
		}
	}
	_, err = a.m.Apply(a.ctx, tx, mirror.Batch{ShopID: a.shop.ID, ObservedAt: observed, Cause: crm.CauseBackfill, Facts: facts})
	return err
}

// statement is what a person said, with an id by which it is known when the list comes again.
func (a *applying) statement(p person) []crm.Fact {
	if p.statement == nil {
		return nil
	}
	c := *p.statement
	c.Topic, c.Channel, c.Basis, c.CustomerID = "marketing", "email", "opt_in", a.id("c", p.norm)
	ref := crm.Ref{Kind: crm.KindConsent, ID: a.id("s", p.norm, c.Topic, c.Channel, c.State, strconv.FormatInt(int64(c.At), 10))}
	if c.At == 0 { // somebody left, nobody knows when
		c.At = a.at
	}
	return []crm.Fact{{Ref: ref, Body: &c}}
}
