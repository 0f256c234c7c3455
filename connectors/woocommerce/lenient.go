package woocommerce

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

// The types below read what PHP writes: ids as numbers, strings or "", amounts as strings or floats, lists that became
// objects because a key was missing, objects that became [] because they were empty.

// text is a string; anything that is no scalar reads as "".
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	*t = text(scalar(b))
	return nil
}

// scalar is the text of a JSON string, number or boolean, "" of anything else.
func scalar(b []byte) string {
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

// ident is an id: digits, or "" for 0, "", null and false.
type ident string

func (i *ident) UnmarshalJSON(b []byte) error {
	s := scalar(b)
	if s == "" || s == "0" || s == "false" {
		*i = ""
		return nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return errors.New("an id is not a number")
	}
	*i = ident(strconv.FormatInt(n, 10))
	return nil
}

func (i ident) number() int64 {
	n, _ := strconv.ParseInt(string(i), 10, 64) // made of digits by UnmarshalJSON
	return n
}

// amount is money as written; "" when there is none.
type amount string

func (a *amount) UnmarshalJSON(b []byte) error {
	*a = amount(scalar(b))
	return nil
}

// minor adds amounts and rounds the sum once.
func minor(currency string, as ...amount) (int64, error) {
	var sum decimal.Decimal
	for _, a := range as {
		if a == "" {
			continue
		}
		d, err := decimal.NewFromString(string(a))
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

// flag is a boolean however written.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(scalar(b)) {
	case "true", "1", "yes":
		*f = true
	default:
		*f = false
	}
	return nil
}

// count is a whole number; fractions, which some extensions sell, are rounded to the nearest even.
type count int64

func (c *count) UnmarshalJSON(b []byte) error {
	s := scalar(b)
	if s == "" {
		*c = 0
		return nil
	}
	d, err := decimal.NewFromString(s)
	if err != nil {
		return errors.New("a quantity is not a number")
	}
	*c = count(d.RoundBank(0).IntPart())
	return nil
}

// stamp is an instant written in GMT without suffix.
type stamp crm.Instant

const wireTime = "2006-01-02T15:04:05"

func (s *stamp) UnmarshalJSON(b []byte) error {
	v := scalar(b)
	if v == "" || v == "false" || strings.HasPrefix(v, "0000-") {
		*s = 0
		return nil
	}
	for _, layout := range []string{wireTime, time.RFC3339, "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, v); err == nil {
			*s = stamp(crm.At(t))
			return nil
		}
	}
	return errors.New("a date is not understood")
}

// list is a list, also one that PHP wrote as an object or as null.
type list[T any] []T

func (l *list[T]) UnmarshalJSON(b []byte) error {
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

// object decodes into v what may be [] instead of {}.
func object(b []byte, v any) error {
	if b = bytes.TrimSpace(b); len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, v)
}

// person is billing or shipping.
type person struct {
	FirstName, LastName, Company, Address1, Address2, City, State, Postcode, Country, Email, Phone text
}

func (p *person) UnmarshalJSON(b []byte) error {
	var w struct {
		FirstName text `json:"first_name"`
		LastName  text `json:"last_name"`
		Company   text `json:"company"`
		Address1  text `json:"address_1"`
		Address2  text `json:"address_2"`
		City      text `json:"city"`
		State     text `json:"state"`
		Postcode  text `json:"postcode"`
		Country   text `json:"country"`
		Email     text `json:"email"`
		Phone     text `json:"phone"`
	}
	err := object(b, &w)
	*p = person(w)
	return err
}

// picture is the image of a product or line; its id may be a number, a string or "".
type picture struct{ Src text }

func (p *picture) UnmarshalJSON(b []byte) error {
	var w struct {
		Src text `json:"src"`
	}
	err := object(b, &w)
	*p = picture(w)
	return err
}

// meta is one of meta_data; a key can occur twice and the value can be anything.
type meta struct {
	Key   text            `json:"key"`
	Value json.RawMessage `json:"value"`
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// reason turns a decoding error into a text without values: json's own messages quote literals.
func reason(err error) string {
	if te, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %q is of an unexpected type", te.Field)
	}
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "not valid JSON"
	}
	return err.Error()
}
