package crm

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/shopspring/decimal"
)

// Money is an amount in the minor units of its ISO currency: 12.34 EUR is {1234, "EUR"}, 993 JPY is {993, "JPY"}.
type Money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// Exponent is the number of decimals of a currency by ISO 4217; 2 for a code that is not known. (The tables of
// golang.org/x/text follow CLDR, which rounds COP, PKR, RSD, IQD and some forty others to whole units for display:
// a shop's centimes would be lost.)
func Exponent(code string) int32 {
	switch strings.ToUpper(code) {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	}
	return 2
}

// ParseMinor reads a decimal string ("253.64", "-14.97", "993.56", "") as minor units of the currency,
// rounded half-even once (DESIGN: money). The empty string is 0. An error means the text is no number.
func ParseMinor(raw, code string) (int64, error) {
	if raw == "" {
		return 0, nil
	}
	d, err := decimal.NewFromString(raw)
	if err != nil {
		return 0, fmt.Errorf("amount %q is not a number", raw)
	}
	if d.Exponent() > 60 || d.Exponent() < -60 || len(raw) > 100 { // 1e999999999 would take gigabytes to round
		return 0, errors.New("amount is out of range")
	}
	m := d.Shift(Exponent(code)).RoundBank(0)
	if !m.BigInt().IsInt64() {
		return 0, fmt.Errorf("amount %q is out of range", raw)
	}
	return m.IntPart(), nil
}

// Scale is amount × to ÷ from, rounded half-even once: a part of an order carried over to the order's own base amount.
// The whole gives exactly the whole. 0 when from is 0.
func Scale(amount, to, from int64) int64 {
	if from == 0 {
		return 0
	}
	if small := int64(1) << 31; from > 0 && 0 <= amount && amount < small && 0 <= to && to < small {
		q, rest := amount*to/from, amount*to%from
		if left := from - rest; rest > left || rest == left && q%2 == 1 {
			q++
		}
		return q
	}
	product := new(big.Int).Mul(big.NewInt(amount), big.NewInt(to)) // of two amounts in VND: more than 64 bits
	by := big.NewInt(from)
	if by.Sign() < 0 {
		product.Neg(product)
		by.Neg(by)
	}
	q, rest := new(big.Int).DivMod(product, by, new(big.Int)) // rounded down, 0 ≤ rest < by
	if half := rest.Lsh(rest, 1).Cmp(by); half > 0 || half == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

// Decimal writes the amount with the currency's decimals and a point: "12.34".
func (m Money) Decimal() string {
	e := Exponent(m.Currency)
	return decimal.New(m.Minor, -e).StringFixed(e)
}
