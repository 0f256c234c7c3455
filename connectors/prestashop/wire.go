package prestashop

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/connectors/lenient"
)

// What PHP writes is read by the types that all platforms share.
type (
	text        = lenient.Text
	ident       = lenient.Ident
	amount      = lenient.Amount
	flag        = lenient.Flag
	list[T any] = lenient.List[T]
)

// translated is a text per language, or one text where the shop has one language.
type translated struct {
	one string
	all map[string]string
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *translated) UnmarshalJSON(b []byte) error {
	*t = translated{}
	if len(b) == 0 || b[0] != '[' && b[0] != '{' {
		t.one = lenient.Scalar(b)
		return nil
	}
	var ws list[struct {
		ID    ident `json:"id"`
		Value text  `json:"value"`
	}]
	if err := json.Unmarshal(b, &ws); err != nil {
		return err
	}
	t.all = make(map[string]string, len(ws))
	for _, w := range ws {
		t.all[string(w.ID)] = string(w.Value)
		if t.one == "" {
			t.one = string(w.Value) // the first that says something
		}
	}
	return nil
}

// in is the text in a language, else in any.
func (t translated) in(lang string) string {
	if v := t.all[lang]; v != "" {
		return v
	}
	return t.one
}

// count is a quantity. Whatever a module writes there, it is bounded before it is computed with.
type count int64

// UnmarshalJSON implements json.Unmarshaler.
func (c *count) UnmarshalJSON(b []byte) error {
	d, err := decimalOf(amount(lenient.Scalar(b)))
	if err != nil || d.Abs().GreaterThan(decimal.New(1, 15)) {
		return errors.New("a quantity is not a number")
	}
	*c = count(d.RoundBank(0).IntPart())
	return nil
}

type idOnly struct {
	ID ident `json:"id"`
}

// idOf is the id of a row, 0 when it has none that can be read.
func idOf(raw json.RawMessage) int64 {
	var w idOnly
	if json.Unmarshal(raw, &w) != nil {
		return 0
	}
	return w.ID.Number()
}

// field is the text of any field of a row; known is false when the row lacks it.
func field(raw json.RawMessage, name string) (value string, known bool) {
	v := lenient.Field(raw, name)
	if v == nil || string(v) == "null" {
		return "", false
	}
	return lenient.Scalar(v), true
}

// Combinations of products have ids of their own, which products have as well (there is a product 25 and a combination
// 25). Relance has one room of ids for both, so combination 25 is known as 1000000000025.
const combinationBase = 1_000_000_000_000

func variationID(combination ident) string {
	if combination == "" {
		return ""
	}
	return strconv.FormatInt(combinationBase+combination.Number(), 10)
}

// combinationOf is the shop's own id of a variation; ok is false for a product.
func combinationOf(id string) (combination string, ok bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n <= combinationBase {
		return "", false
	}
	return strconv.FormatInt(n-combinationBase, 10), true
}

// anyOf writes a filter that matches any of the values.
func anyOf(values []string) string { return "[" + strings.Join(values, "|") + "]" }
