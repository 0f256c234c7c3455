package oracletest

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
)

// confused is what the oracle panics with where it does not understand a definition.
type confused string

// node is a mapping of a definition.
type node struct {
	path   string
	fields map[string]any
}

func parse(text string) map[string]any {
	var m map[string]any
	if err := yaml.Unmarshal([]byte(text), &m); err != nil {
		panic(confused(err.Error()))
	}
	return m
}

// newNode takes a mapping that may have these fields and no others; nil is one without any.
func newNode(path string, value any, known ...string) *node {
	n := &node{path: path}
	switch v := value.(type) {
	case map[string]any:
		n.fields = v
	case nil:
	default:
		panic(confused(fmt.Sprintf("%s: %T is no mapping", path, value)))
	}
	for name := range n.fields {
		if !slices.Contains(known, name) {
			panic(confused(path + ": the oracle does not know " + name))
		}
	}
	return n
}

func (n *node) has(name string) bool {
	_, ok := n.fields[name]
	return ok
}

func (n *node) get(name string) any { return n.fields[name] }

// text is a plain value as text, "" when it is not given.
func (n *node) text(name string) string {
	if !n.has(name) {
		return ""
	}
	return fmt.Sprint(n.get(name))
}

func (n *node) flag(name string) bool { return n.text(name) == "true" }

// list is one value or several; nil when not given.
func (n *node) list(name string) []string { return texts(n.get(name)) }

func texts(value any) []string {
	switch v := value.(type) {
	case nil:
		return nil
	case []any:
		out := []string{}
		for _, x := range v {
			out = append(out, fmt.Sprint(x))
		}
		return out
	default:
		return []string{fmt.Sprint(v)}
	}
}

func (n *node) child(name string, known ...string) *node {
	return newNode(n.path+"."+name, n.get(name), known...)
}

// limits are the bounds of a node: counts, or amounts in minor units of a currency.
type limits struct {
	low, high *big.Rat // nil: none
	currency  string
}

// limits reads at_least, at_most and exactly.
func (n *node) limits() limits {
	var l limits
	if x := n.text("at_least"); x != "" {
		l.low, l.currency = amount(x)
	}
	if x := n.text("at_most"); x != "" {
		l.high, l.currency = amount(x)
	}
	if x := n.text("exactly"); x != "" {
		l.low, l.currency = amount(x)
		l.high = l.low
	}
	return l
}

func (l limits) none() bool { return l.low == nil && l.high == nil }

func (l limits) hold(x *big.Rat) bool {
	return (l.low == nil || x.Cmp(l.low) >= 0) && (l.high == nil || x.Cmp(l.high) <= 0)
}

// number is a whole number that has to be there.
func (n *node) number(name string) int {
	x, err := strconv.Atoi(n.text(name))
	if err != nil {
		panic(confused(n.path + "." + name + ": " + err.Error()))
	}
	return x
}

func whole(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

// amount reads "3", "12.5" or "100 EUR"; amounts of money come in minor units.
func amount(text string) (*big.Rat, string) {
	number, currency, _ := strings.Cut(strings.TrimSpace(text), " ")
	r, ok := new(big.Rat).SetString(number)
	if !ok {
		panic(confused("the oracle cannot read " + text))
	}
	switch currency {
	case "", "JPY":
	case "KWD", "TND":
		r.Mul(r, whole(1000))
	default:
		r.Mul(r, whole(100))
	}
	return r, currency
}

// share is a × b ÷ c, rounded half to even.
func share(a, b, c int64) int64 {
	if c == 0 {
		return 0
	}
	exact := new(big.Rat).Mul(whole(a), big.NewRat(b, c))
	n, err := strconv.ParseInt(exact.FloatString(0), 10, 64) // half away from zero
	if err != nil {
		panic(confused(err.Error()))
	}
	if twice := new(big.Rat).Mul(exact, whole(2)); twice.IsInt() && !exact.IsInt() && n%2 != 0 { // exactly between two
		if exact.Sign() > 0 {
			return n - 1
		}
		return n + 1
	}
	return n
}

func among(list []string, have string) bool { return slices.Contains(list, have) }

func alike(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b)) }

func amongAlike(list []string, have string) bool {
	return slices.ContainsFunc(list, func(x string) bool { return alike(x, have) })
}
