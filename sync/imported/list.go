// Package imported brings lists of people (CSV) into the mirror, with their consents and the proof of them. The whole list
// is understood before anything is written; what was cut off goes on where it was; a list imported twice changes nothing.
package imported

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/relance/relance/internal/crm"
)

// Options of a list.
type Options struct {
	File  string            // its name, for people and as the source of consents that name none
	Map   map[string]string // field → column, "" leaves the field out; the rest is guessed
	Dates string            // DayFirst or MonthFirst where the list leaves it open
	Zone  *time.Location    // of dates without an offset; nil is UTC
	Now   time.Time         // business time
}

// maxErrors is how many mistakes are told one by one.
const maxErrors = 100

// RowError is a mistake in a row. It repeats no value.
type RowError struct {
	Line    int    `json:"line"`
	Column  string `json:"column,omitempty"` // as the list calls it
	Message string `json:"message"`
}

// Report is what a list holds.
type Report struct {
	Encoding   string            `json:"encoding"`
	Delimiter  string            `json:"delimiter"`
	Columns    map[string]string `json:"columns"`          // field → name of its column
	Unused     []string          `json:"unused,omitempty"` // columns that hold no field
	Rows       int               `json:"rows"`
	People     int               `json:"people"`    // different addresses
	Granted    int               `json:"granted"`   // rows that state a consent
	Withdrawn  int               `json:"withdrawn"` // rows that state its end
	Silent     int               `json:"silent"`    // rows that say nothing of it
	Errors     []RowError        `json:"errors,omitempty"`
	ErrorCount int               `json:"error_count"`
}

// List is a list that was looked at.
type List struct {
	Report
	o     Options
	text  *text
	cols  *columns
	dates string
	sum   string // of the bytes and of how they are read
}

// Read looks at a whole list and writes nothing. The error is about the list as such; mistakes in rows are in the
// report: a list that has any is not applied.
func Read(in io.ReadSeeker, o Options) (*List, error) {
	if o.Dates != "" && o.Dates != DayFirst && o.Dates != MonthFirst {
		return nil, fmt.Errorf("the order of dates cannot be %q: dmy or mdy", o.Dates)
	}
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	t, err := look(in)
	if err != nil {
		return nil, err
	}
	l := &List{o: o, text: t, Report: Report{Encoding: t.encoding, Delimiter: string(t.delimiter)}}
	seen := &order{said: o.Dates}
	if err := l.pass(&reader{dates: seen}, nil); err != nil {
		return nil, err
	}
	if l.ErrorCount > 0 {
		return l, nil
	}
	if l.dates, err = seen.settle(); err != nil {
		return nil, err
	}
	if err := l.pass(&reader{order: l.dates}, nil); err != nil { // with dates that mean something
		return nil, err
	}
	l.sum = l.identity()
	return l, nil
}

// identity names the list and the way in which it is read.
func (l *List) identity() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", l.text.sum, l.dates)
	for _, field := range slices.Sorted(maps.Keys(l.cols.at)) {
		fmt.Fprintf(h, "%s=%d\n", field, l.cols.at[field])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pass reads the list from its beginning: r understands its rows, each takes those that it understood. It counts anew.
func (l *List) pass(r *reader, each func(line int, p person) error) error {
	l.Rows, l.People, l.Granted, l.Withdrawn, l.Silent, l.Errors, l.ErrorCount = 0, 0, 0, 0, 0, nil, 0
	seen := map[uint64]struct{}{} // of addresses; 8 bytes each, for lists of a million
	seed := maphash.MakeSeed()
	r.file, r.zone, r.now = l.o.File, l.o.Zone, l.o.Now
	return l.text.rows(func(header []string) (err error) {
		l.cols, err = columnsOf(header, l.o.Map)
		if err != nil {
			return err
		}
		r.cols, l.Columns, l.Unused = l.cols, l.cols.recognised(), l.cols.unused
		return nil
	}, func(line int, row []string, bad error) error {
		if bad == nil && blank(row) {
			return nil
		}
		l.Rows++
		p, ok := l.understand(r, line, row, bad)
		if !ok {
			return nil
		}
		seen[maphash.String(seed, p.norm)] = struct{}{}
		l.People = len(seen)
		switch {
		case p.statement == nil:
			l.Silent++
		case p.statement.State == crm.ConsentGranted:
			l.Granted++
		default:
			l.Withdrawn++
		}
		if each == nil {
			return nil
		}
		return each(line, p)
	})
}

func (l *List) understand(r *reader, line int, row []string, bad error) (person, bool) {
	for len(row) > len(l.cols.names) && strings.TrimSpace(row[len(row)-1]) == "" { // spreadsheets end rows with empty cells
		row = row[:len(row)-1]
	}
	switch {
	case bad != nil:
		l.mistaken(line, "", "cannot be read: a quote is where none may be, or is never closed")
		return person{}, false
	case len(row) > len(l.cols.names):
		l.mistaken(line, "", fmt.Sprintf("has %d cells, the header %d: is a cell that holds the delimiter not quoted?", len(row), len(l.cols.names)))
		return person{}, false
	case slices.ContainsFunc(row, func(s string) bool { return !utf8.ValidString(s) }):
		l.mistaken(line, "", "holds characters that cannot be read")
		return person{}, false
	}
	p, mistakes := r.read(line, row)
	for _, m := range mistakes {
		l.mistaken(line, cmp.Or(l.Columns[m.Field], m.Field), m.Message)
	}
	return p, len(mistakes) == 0
}

func (l *List) mistaken(line int, column, message string) {
	if l.ErrorCount++; len(l.Errors) < maxErrors {
		l.Errors = append(l.Errors, RowError{line, column, message})
	}
}

// ErrMistakes says that a list has mistakes, which its report tells.
var ErrMistakes = errors.New("the list has mistakes: nothing was imported")
