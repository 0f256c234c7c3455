package mailer

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
)

// CouponList is what became of the codes of one list, or of the codes that one shop makes for a campaign ("campaign@shop").
type CouponList struct {
	Audience string `json:"audience"`
	List     string `json:"list"`
	Worth    string `json:"worth"` // of its newest code; "" = not said
	Free     int64  `json:"free"`
	Asked    int64  `json:"asked"` // the shop is being told to make them
	Given    int64  `json:"given"`
	Used     int64  `json:"used"` // given, and found in an order
	Low      bool   `json:"low"`  // fewer are left than were given in the last week, or than 20
}

const (
	fewCodes   = 20
	recentSpan = 7 * 24 * time.Hour
)

// CouponLists counts every list. now is business time.
func CouponLists(ctx context.Context, q store.Queryer, now crm.Instant) ([]CouponList, error) {
	var rows []struct {
		Audience, List, State, Worth string
		Codes, Recent                int64
	}
	if err := q.SelectContext(ctx, &rows, `SELECT COALESCE(a.name,'') AS audience, k.list, k.state, MAX(k.worth) AS worth, COUNT(*) AS codes,
 SUM(CASE WHEN k.given_at>? THEN 1 ELSE 0 END) AS recent FROM coupons k LEFT JOIN audiences a ON a.id=k.audience_id GROUP BY a.name, k.list, k.state`, now.Add(-recentSpan)); err != nil {
		return nil, fmt.Errorf("counting coupons: %w", err)
	}
	byName := map[[2]string]*CouponList{}
	recent := map[*CouponList]int64{}
	for _, r := range rows {
		key := [2]string{r.Audience, r.List}
		if byName[key] == nil {
			byName[key] = &CouponList{Audience: r.Audience, List: r.List}
		}
		l := byName[key]
		l.Worth = cmp.Or(l.Worth, r.Worth)
		*map[string]*int64{couponFree: &l.Free, couponAsked: &l.Asked, couponGiven: &l.Given}[r.State] += r.Codes
		recent[l] += r.Recent
	}
	var used []struct {
		Audience, List string
		Codes          int64
	}
	if err := q.SelectContext(ctx, &used, `SELECT a.name AS audience, k.list, COUNT(DISTINCT k.code_key) AS codes FROM coupons k JOIN audiences a ON a.id=k.audience_id
 JOIN order_coupons c ON c.code_key=k.code_key JOIN shops s ON s.id=c.shop_id AND s.audience_id=k.audience_id
 JOIN orders o ON o.shop_id=c.shop_id AND o.id=c.order_id AND o.gone_at=0 AND o.counts_as_sale=1 WHERE k.state=? GROUP BY a.name, k.list`, couponGiven); err != nil {
		return nil, fmt.Errorf("counting coupons used: %w", err)
	}
	for _, r := range used {
		byName[[2]string{r.Audience, r.List}].Used = r.Codes
	}
	out := make([]CouponList, 0, len(byName))
	for _, l := range byName {
		l.Low = l.Free < max(fewCodes, recent[l])
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b CouponList) int {
		return cmp.Or(cmp.Compare(a.Audience, b.Audience), cmp.Compare(a.List, b.List))
	})
	return out, nil
}

// CodeMistake is a line of a file of codes that cannot be taken as it is.
type CodeMistake struct {
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// Codes are those of a file.
type Codes struct {
	Codes    []string      `json:"-"`
	Repeated []CodeMistake `json:"repeated"` // codes that stand there again: taken once
	Mistakes []CodeMistake `json:"mistakes"` // lines that are no code: with one, nothing is imported

	lines []int
}

// ReadCodes reads one code a line, or the first column of a CSV file, or its column named code.
func ReadCodes(in io.Reader) (Codes, error) {
	text, err := io.ReadAll(in)
	if err != nil {
		return Codes{}, fmt.Errorf("reading codes: %w", err)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return Codes{}, errors.New("reading codes: the file is no text in UTF-8: save it as CSV UTF-8")
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.TrimLeadingSpace, r.ReuseRecord = separator(text), -1, true, true, true
	var c Codes
	first := map[string]int{}
	column := 0
	for begun := false; ; begun = true {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return Codes{}, fmt.Errorf("reading codes: %w", err)
		}
		line, _ := r.FieldPos(0)
		if i := slices.IndexFunc(row, isHeading); !begun && i >= 0 {
			column = i
			continue
		}
		code := ""
		if column < len(row) {
			code = strings.TrimSpace(row[column])
		}
		c.take(code, line, first)
	}
}

func (c *Codes) take(code string, line int, first map[string]int) {
	key := crm.CodeKey(code)
	switch {
	case key == "" && code != "":
		c.Mistakes = append(c.Mistakes, CodeMistake{line, fmt.Sprintf("a code has at most %d characters", crm.MaxCode)})
	case key == "":
		c.Mistakes = append(c.Mistakes, CodeMistake{line, "there is no code"})
	case strings.ContainsFunc(code, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		c.Mistakes = append(c.Mistakes, CodeMistake{line, "a code has no spaces, and nothing that cannot be typed"})
	case first[key] > 0:
		c.Repeated = append(c.Repeated, CodeMistake{line, fmt.Sprintf("the code stands in line %d already", first[key])})
	default:
		first[key] = line
		c.Codes, c.lines = append(c.Codes, code), append(c.lines, line)
	}
}

// separator is what the first line is divided by.
func separator(text []byte) rune {
	line, _, _ := bufio.ScanLines(text, true)
	first := text[:max(line, 0)]
	for _, sep := range []rune{';', '\t'} {
		if bytes.ContainsRune(first, sep) {
			return sep
		}
	}
	return ','
}

func isHeading(cell string) bool {
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "code", "codes", "coupon", "coupon code", "coupon_code", "code promo", "voucher":
		return true
	}
	return false
}

// ImportedCodes says what ImportCodes did.
type ImportedCodes struct {
	New   int `json:"new"`
	Known int `json:"known"` // in the list already
}

const importCodes = 500 // of one transaction

// ImportCodes adds codes to a list of an audience: those that it has already stay as they are, whether free or given. A
// code that stands in another list of the audience is a mistake (Codes.Mistakes), and then nothing is imported. Cut off,
// the same call goes on. worth is for readers: "10 %"; now is business time. dry only looks.
func ImportCodes(ctx context.Context, m *mirror.Mirror, audienceID int64, list, worth string, c *Codes, now crm.Instant, dry bool) (ImportedCodes, error) {
	var done ImportedCodes
	fresh := make([]string, 0, len(c.Codes))
	at := 0
	for some := range slices.Chunk(c.Codes, importCodes) {
		known, err := listsOf(ctx, m.DB().Read(), audienceID, some)
		if err != nil {
			return done, err
		}
		for i, code := range some {
			switch other, there := known[crm.CodeKey(code)]; {
			case !there:
				fresh = append(fresh, code)
			case other == list:
				done.Known++
			default:
				c.Mistakes = append(c.Mistakes, CodeMistake{c.lines[at+i], "the code belongs to the list " + other})
			}
		}
		at += len(some)
	}
	if len(c.Mistakes) > 0 {
		return ImportedCodes{}, nil
	}
	done.New = len(fresh)
	if dry {
		return done, nil
	}
	for some := range slices.Chunk(fresh, importCodes) {
		var rows [][]any
		for _, code := range some {
			key := crm.CodeKey(code)
			rows = append(rows, []any{audienceID, key, code, list, laneOfCode(key), couponFree, clip(worth, 64), now})
		}
		if err := m.DB().Write(ctx, "mailer.codes", func(tx *store.Tx) error {
			return again(tx, tx.Insert(ctx, "coupons", []string{"audience_id", "code_key", "code", "list", "lane", "state", "worth", "added_at"}, rows))
		}); err != nil {
			return done, fmt.Errorf("importing codes: %w", err)
		}
	}
	return done, nil
}

func listsOf(ctx context.Context, q store.Queryer, audienceID int64, codes []string) (map[string]string, error) {
	keys := make([]string, len(codes))
	for i, code := range codes {
		keys[i] = crm.CodeKey(code)
	}
	var rows []struct {
		Key  string `db:"code_key"`
		List string
	}
	if err := selectIn(ctx, q, &rows, "SELECT code_key, list FROM coupons WHERE audience_id=? AND code_key IN (?)", audienceID, keys); err != nil {
		return nil, fmt.Errorf("looking for codes: %w", err)
	}
	out := map[string]string{}
	for _, r := range rows {
		out[r.Key] = r.List
	}
	return out, nil
}

// ValidListName tells whether a list of codes may have that name; otherwise it says what one looks like.
func ValidListName(name string) (want string, ok bool) { return idWant, validID(name) }
