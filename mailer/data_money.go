package mailer

import (
	"strings"

	"github.com/relance/relance/internal/crm"
)

// style is how a language writes amounts.
type style struct {
	group, point string
	after        bool // the symbol follows, behind a space
	space        bool // a symbol that precedes stands apart: "€ 12,00"
	four         bool // numbers of four digits are not grouped: 1234,56
}

const noBreak = "\u00a0"

// styleOf goes by language and country ("de-CH"), then by language; English for those it does not know.
func styleOf(locale string) style {
	locale = strings.ToLower(strings.ReplaceAll(locale, "_", "-"))
	switch locale {
	case "de-ch", "de-li", "it-ch":
		return style{group: "’", point: ".", space: true}
	case "fr-ch":
		return style{group: noBreak, point: ".", after: true}
	case "de-at":
		return style{group: ".", point: ",", space: true}
	case "pt-br":
		return style{group: ".", point: ",", space: true}
	}
	language, _, _ := strings.Cut(locale, "-")
	switch language {
	case "fr", "cs", "sk", "sv", "nb", "no", "fi", "hu", "uk", "ru":
		return style{group: noBreak, point: ",", after: true}
	case "pl", "bg", "pt":
		return style{group: noBreak, point: ",", after: true, four: true}
	case "de", "it", "da", "ro", "el", "hr", "sl", "ca":
		return style{group: ".", point: ",", after: true}
	case "es":
		return style{group: ".", point: ",", after: true, four: true}
	case "nl":
		return style{group: ".", point: ",", space: true}
	case "tr":
		return style{group: ".", point: ","}
	}
	return style{group: ",", point: "."}
}

// formatMoney writes minor units for readers: "1 234,56 €" in French, "€1,234.56" in English, "1.234,56 €" in German. ""
// without a currency.
func formatMoney(minor int64, currency, locale string) string {
	if currency == "" {
		return ""
	}
	s := styleOf(locale)
	number := crm.Money{Minor: minor, Currency: currency}.Decimal()
	sign := ""
	if rest, negative := strings.CutPrefix(number, "-"); negative {
		sign, number = "-", rest
	}
	number = s.number(number)
	symbol, short := currencySymbol(currency, locale)
	switch {
	case s.after:
		return sign + number + noBreak + symbol
	case short && !s.space:
		return sign + symbol + number
	}
	return symbol + noBreak + sign + number
}

// number groups the digits of a decimal number: "1234.5" becomes "1 234,5".
func (s style) number(decimal string) string {
	whole, fraction, _ := strings.Cut(decimal, ".")
	if !s.four || len(whole) > 4 {
		for i := len(whole) - 3; i > 0; i -= 3 {
			whole = whole[:i] + s.group + whole[i:]
		}
	}
	if fraction != "" {
		whole += s.point + fraction
	}
	return whole
}

// formatPercent writes "12.5" as "12,5 %" in French and "12.5%" in English.
func formatPercent(decimal, locale string) string {
	s := styleOf(locale)
	if s.after {
		return s.number(decimal) + noBreak + "%"
	}
	return s.number(decimal) + "%"
}

// currencySymbol gives the sign that readers know; a currency that several countries' readers would mistake keeps its code
// but for those who live with it. short: it may stand right before the number.
func currencySymbol(code, locale string) (symbol string, short bool) {
	code = strings.ToUpper(code)
	switch code {
	case "EUR":
		return "€", true
	case "GBP":
		return "£", true
	case "USD":
		return "$", true
	case "JPY":
		return "¥", true
	case "INR":
		return "₹", true
	case "TRY":
		return "₺", true
	case "ILS":
		return "₪", true
	case "UAH":
		return "₴", true
	case "BRL":
		return "R$", true
	}
	language, country, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(locale, "_", "-")), "-")
	switch code + " " + language {
	case "PLN pl":
		return "zł", false
	case "CZK cs":
		return "Kč", false
	case "SEK sv", "NOK nb", "NOK no", "DKK da":
		return "kr.", false
	case "HUF hu":
		return "Ft", false
	case "RON ro":
		return "lei", false
	case "BGN bg":
		return "лв.", false
	}
	switch code + " " + country {
	case "CAD ca", "AUD au", "NZD nz":
		return "$", true
	}
	return code, false
}
