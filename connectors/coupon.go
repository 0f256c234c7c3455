package connectors

import (
	"errors"
	"strings"
)

// TaskCoupon makes a code that works once, or says until when it is good; its key says all of it (Coupon.Key).
const TaskCoupon = "coupon"

// Coupon is a code that a shop is to know. It takes either Percent or Amount off one order.
type Coupon struct {
	Code    string
	Percent string // "10"
	Amount  string // "5.00", of the shop's currency
	Until   string // the last day on which it works, by the shop's calendar: "2026-12-31"; "" = no end
}

// Key writes it as the key of a task: the same coupon is the same task.
func (c Coupon) Key() string {
	parts := []string{c.Code}
	for _, part := range [][2]string{{"percent", c.Percent}, {"amount", c.Amount}, {"until", c.Until}} {
		if part[1] != "" {
			parts = append(parts, part[0]+"="+part[1])
		}
	}
	return strings.Join(parts, " ")
}

// ParseCoupon reads what Key wrote.
func ParseCoupon(key string) (Coupon, error) {
	code, rest, _ := strings.Cut(key, " ")
	c := Coupon{Code: code}
	for part := range strings.FieldsSeq(rest) {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "percent":
			c.Percent = value
		case "amount":
			c.Amount = value
		case "until":
			c.Until = value
		default:
			return Coupon{}, errors.New("reading a coupon: its key says something unknown")
		}
	}
	if c.Code == "" || (c.Percent == "") == (c.Amount == "") {
		return Coupon{}, errors.New("reading a coupon: its key has no code, or not one worth")
	}
	return c, nil
}
