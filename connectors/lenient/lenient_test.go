package lenient

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/internal/crm"
)

// All that PHP writes where an id, an amount, a flag, a number, a date or a list is meant.
func TestTolerantTypes(t *testing.T) {
	type row struct {
		ID     Ident        `json:"id"`
		Amount Amount       `json:"amount"`
		Flag   Flag         `json:"flag"`
		Count  Count        `json:"count"`
		Text   Text         `json:"text"`
		Stamp  Stamp        `json:"stamp"`
		List   List[string] `json:"list"`
	}
	at := Stamp(crm.At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)))
	for body, want := range map[string]row{
		`{}`: {},
		`{"id":7,"amount":1.10,"flag":true,"count":2,"text":"x","stamp":"2026-01-02T03:04:05","list":["a","b"]}`:         {"7", "1.10", true, 2, "x", at, []string{"a", "b"}},
		`{"id":"007","amount":"1.10","flag":"1","count":"2.5","text":12,"stamp":"2026-01-02 03:04:05","list":{"0":"a"}}`: {"7", "1.10", true, 2, "12", at, []string{"a"}},
		`{"id":"","amount":null,"flag":"no","count":"","text":{},"stamp":"0000-00-00 00:00:00","list":null}`:             {},
		`{"id":0,"amount":"","flag":0,"count":null,"text":[],"stamp":false,"list":""}`:                                   {},
		`{"id":false,"amount":{},"flag":"yes","count":3.5,"text":true,"stamp":null,"list":{"10":"c","2":"b"}}`:           {"", "", true, 4, "true", 0, []string{"b", "c"}},
		`{"id":"12","amount":-3,"flag":null,"count":-1,"text":null,"stamp":"2026-01-02T05:04:05+02:00","list":[]}`:       {"12", "-3", false, -1, "", at, []string{}},
	} {
		var got row
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if got.ID != want.ID || got.Amount != want.Amount || got.Flag != want.Flag || got.Count != want.Count || got.Text != want.Text ||
			got.Stamp != want.Stamp || !slices.Equal(got.List, want.List) {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
	for body, field := range map[string]any{
		`"jane@example.com"`: new(Ident), `-5`: new(Ident), `1.5`: new(Ident), `"1e5"`: new(Ident),
		`"many"`: new(Count), `1e400`: new(Count), `1e999999999`: new(Count), `"31/12/2026"`: new(Stamp), `[1,"x"]`: new(List[int]),
	} {
		err := json.Unmarshal([]byte(body), field)
		if err == nil {
			t.Errorf("%s is taken for %T", body, field)
		} else if r := Reason(err); strings.Contains(r, "jane") || strings.Contains(r, "many") || r == "" {
			t.Errorf("%s: reason %q", body, r)
		}
	}
}

// Each amount is rounded once, after adding up; what no shop means is refused before it is written out.
func TestMinor(t *testing.T) {
	for _, c := range []struct {
		currency string
		amounts  []Amount
		want     int64
	}{
		{"EUR", []Amount{"0.005", "0.005"}, 1},
		{"EUR", []Amount{"253.64", ""}, 25364},
		{"JPY", []Amount{"993.56"}, 994},
		{"EUR", []Amount{"0.125"}, 12},
		{"EUR", nil, 0},
		{"EUR", []Amount{"-14.97"}, -1497},
		{"KWD", []Amount{"1.2345"}, 1234},
	} {
		if got, err := Minor(c.currency, c.amounts...); err != nil || got != c.want {
			t.Errorf("%v %s: %d %v, want %d", c.amounts, c.currency, got, err, c.want)
		}
	}
	for _, a := range []Amount{"jane", "1,50", "1e999999999", "1e-999999999", "99999999999999999999", Amount(strings.Repeat("9", 1000))} {
		if _, err := Minor("EUR", a); err == nil || strings.Contains(err.Error(), "jane") {
			t.Errorf("%.20s…: %v", a, err)
		}
	}
}

func TestObject(t *testing.T) {
	var v struct{ A int }
	for _, body := range []string{`[]`, `null`, ``, `"x"`, ` {"a":5} `} {
		if err := Object([]byte(body), &v); err != nil {
			t.Errorf("%s: %v", body, err)
		}
	}
	if v.A != 5 {
		t.Error("an object is not read")
	}
}

func TestReason(t *testing.T) {
	var v struct{ Email int }
	err := json.Unmarshal([]byte(`{"email":"jane@example.com"}`), &v)
	for _, err := range []error{err, json.Unmarshal([]byte(`{"jane`), &v), errors.New("a refund without an id")} {
		if r := Reason(err); r == "" || strings.Contains(r, "jane") {
			t.Errorf("%v: %q", err, r)
		}
	}
}

// No text panics or takes for ever.
func FuzzTypes(f *testing.F) {
	for _, s := range []string{`1e999999999`, `"-0"`, `{"1":2}`, `[[]]`, `"2026-01-02"`, `null`, `1e-999999999`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(_ *testing.T, body []byte) {
		var a Amount
		for _, v := range []any{new(Ident), &a, new(Flag), new(Count), new(Text), new(Stamp), new(List[Ident])} {
			_ = json.Unmarshal(body, v)
		}
		_, _ = Minor("EUR", a, "0.1")
		_ = Object(body, new(struct{ ID Ident }))
	})
}
