package mirror

import (
	"slices"
	"unicode/utf8"

	"github.com/relance/relance/internal/crm"
)

// What shops hold can be longer than the columns: a spammer's name of 300 letters must not cost an order. So free text is
// cut to its column, alike on every engine, before it is hashed. Ids and e-mails are never touched.

// Characters that the columns hold.
const (
	roomName    = 255 // of people, companies, places, brands, categories
	roomTitle   = 500 // of products
	roomReason  = 1000
	roomArea    = 128 // also SKUs
	roomWord    = 64
	roomCode    = 32
	roomAddress = 1000 // of a page
	roomLocale  = 16
	roomCountry = 8
)

// text cuts what is longer than its column.
func text(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return clip(s, most)
}

// whole leaves out what is longer than its column and of no use when it is cut: addresses of pages, codes.
func whole(s string, most int) string {
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return ""
}

// fitLines makes lines fit; those of the connector are not touched.
func fitLines(lines []crm.Line) []crm.Line {
	cloned := false
	for i, l := range lines {
		sku, name, image := text(l.SKU, roomArea), text(l.Name, roomTitle), whole(l.ImageURL, roomAddress)
		if sku == l.SKU && name == l.Name && image == l.ImageURL {
			continue
		}
		if !cloned {
			lines, cloned = slices.Clone(lines), true
		}
		lines[i].SKU, lines[i].Name, lines[i].ImageURL = sku, name, image
	}
	return lines
}
