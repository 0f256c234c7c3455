// Package lenient reads the JSON that PHP shops write: ids as numbers, strings or "", amounts as strings or floats,
// flags as 0, "1" or true, lists that became objects because a key was missing, objects that became [] because they were
// empty. Nothing here panics, and no error quotes a value.
package lenient

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/internal/crm"
)

// Text is a string; anything that is no scalar reads as "".
type Text string

// UnmarshalJSON implements json.Unmarshaler.
func (t *Text) UnmarshalJSON(b []byte) error {
	*t = Text(Scalar(b))
	return nil
}

// Scalar is the text of a JSON string, number or boolean, "" of anything else.
func Scalar(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	switch b[0] {
	case '"':
		var s string
		if json.Unmarshal(b, &s) != nil {
			return ""
		}
		return s
	case '{', '[', 'n':
		return ""
	default:
		return string(b)
	}
}

// Ident is an id: digits, or "" for 0, "", null and false.
type Ident string

// UnmarshalJSON implements json.Unmarshaler.
func (i *Ident) UnmarshalJSON(b []byte) error {
	s := Scalar(b)
	if s == "" || s == "0" || s == "false" {
		*i = ""
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return errors.New("an id is not a number")
	}
	*i = Ident(strconv.FormatInt(n, 10))
	return nil
}

// Number is 0 for "".
func (i Ident) Number() int64 {
	n, _ := strconv.ParseInt(string(i), 10, 64) // made of digits by UnmarshalJSON
	return n
}

// Amount is money as written; "" when there is none.
type Amount string

// UnmarshalJSON implements json.Unmarshaler.
func (a *Amount) UnmarshalJSON(b []byte) error {
	*a = Amount(Scalar(b))
	return nil
}

// Minor adds amounts and rounds the sum once.
func Minor(currency string, as ...Amount) (int64, error) {
	var sum decimal.Decimal
	for _, a := range as {
		if a == "" {
			continue
		}
		d, err := number(string(a))
		if err != nil {
			return 0, errors.New("an amount is not a number")
		}
		sum = sum.Add(d)
	}
	n, err := crm.ParseMinor(sum.String(), currency)
	if err != nil {
		return 0, errors.New("an amount is out of range")
	}
	return n, nil
}

// number reads a decimal whose size no shop means: 1e999999999 would take gigabytes to write out.
func number(s string) (decimal.Decimal, error) {
	const digits = 60
	if len(s) > digits {
		return decimal.Decimal{}, errors.New("too long")
	}
	d, err := decimal.NewFromString(s)
	if err == nil && (d.Exponent() > digits || d.Exponent() < -digits) {
		err = errors.New("out of range")
	}
	return d, err
}

// Flag is a boolean however written.
type Flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *Flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(Scalar(b)) {
	case "true", "1", "yes":
		*f = true
	default:
		*f = false
	}
	return nil
}

// Count is a whole number; fractions, which some extensions sell, are rounded to the nearest even.
type Count int64

// UnmarshalJSON implements json.Unmarshaler.
func (c *Count) UnmarshalJSON(b []byte) error {
	s := Scalar(b)
	if s == "" {
		*c = 0
		return nil
	}
	d, err := number(s)
	if err != nil {
		return errors.New("a quantity is not a number")
	}
	if d = d.RoundBank(0); !d.BigInt().IsInt64() {
		return errors.New("a quantity is out of range")
	}
	*c = Count(d.IntPart())
	return nil
}

// Stamp is an instant written in GMT without suffix.
type Stamp crm.Instant

// WireTime is how WordPress writes an instant: GMT, without suffix.
const WireTime = "2006-01-02T15:04:05"

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stamp) UnmarshalJSON(b []byte) error {
	v := Scalar(b)
	if v == "" || v == "false" || strings.HasPrefix(v, "0000-") {
		*s = 0
		return nil
	}
	for _, layout := range []string{WireTime, time.RFC3339, "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, v); err == nil {
			*s = Stamp(crm.At(t))
			return nil
		}
	}
	return errors.New("a date is not understood")
}

// List is a list, also one that PHP wrote as an object or as null.
type List[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (l *List[T]) UnmarshalJSON(b []byte) error {
	*l = nil
	switch {
	case len(b) > 0 && b[0] == '[':
		return json.Unmarshal(b, (*[]T)(l))
	case len(b) > 0 && b[0] == '{':
		var m map[string]T
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		for _, k := range slices.SortedFunc(maps.Keys(m), byNumber) {
			*l = append(*l, m[k])
		}
	}
	return nil
}

func byNumber(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// Object decodes into v what may be [] instead of {}.
func Object(b []byte, v any) error {
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, v)
}

// Reason turns a decoding error into a text without values: json's own messages quote literals.
func Reason(err error) string {
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %q is of an unexpected type", te.Field)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "not valid JSON"
	}
	return err.Error()
}

// CivilDate reads a day however a shop writes it, by the layouts of its platform; "" when it is none of them.
func CivilDate(s string, layouts ...string) string {
	for _, layout := range layouts {
		if t, err := time.Parse(layout, strings.TrimSpace(s)); err == nil && t.Year() > 1800 {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}
