package oracletest

import "slices"

// held tells whether a cart holds what is asked for, whenever that was.
func (o *Oracle) held(n *node, k Cart, amounts bool) bool {
	in := true
	if amounts {
		if l := n.limits(); !l.none() {
			in = l.currency == k.Currency && l.hold(whole(k.Total))
		}
	}
	if shops := n.list("shop"); shops != nil {
		in = in && among(shops, k.ShopName)
	}
	if n.has("items") {
		items := n.child("items", "at_least", "at_most").limits()
		pieces := int64(0)
		for _, l := range k.Lines {
			pieces += l.Quantity
		}
		in = in && items.hold(whole(pieces))
	}
	if narrowed(n) {
		in = in && slices.ContainsFunc(k.Lines, func(l Line) bool { return fits(n, l, Order{Currency: k.Currency}) })
	}
	return in
}

// touched is when somebody last did something with the cart: before, it is not known.
func (k Cart) touched() int64 { return max(k.CreatedAt, k.ActiveAt) }

func (o *Oracle) openCart(n *node) bool {
	return slices.ContainsFunc(o.who.Carts, func(k Cart) bool {
		open := k.touched() <= o.t && (k.ClosedAt == 0 || k.ClosedAt > o.t)
		return open && o.aged(n, k.touched()) && o.held(n, k, true)
	})
}

// abandonedAt is when the cart had been idle for long enough while it was open.
func (o *Oracle) abandonedAt(n *node, k Cart) (int64, bool) {
	idle := n.text("idle_for")
	if idle == "" {
		idle = "1h"
	}
	at := o.who.plus(k.touched(), idle)
	return at, k.ClosedAt == 0 || k.ClosedAt > at
}

func (o *Oracle) abandonedCarts(n *node) bool {
	l := n.limits()
	if l.none() {
		l.low = whole(1)
	}
	count := int64(0)
	for _, k := range o.who.Carts {
		if at, abandoned := o.abandonedAt(n, k); abandoned && o.held(n, k, false) && o.window(n, at) {
			count++
		}
	}
	return l.hold(whole(count))
}

func (o *Oracle) recoveredCart(n *node) bool {
	return slices.ContainsFunc(o.who.Carts, func(k Cart) bool {
		_, abandoned := o.abandonedAt(n, k)
		return abandoned && k.ClosedAt != 0 && k.ClosedBy == "ordered" && o.held(n, k, true) && o.window(n, k.ClosedAt)
	})
}
