package crm

import (
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// NormEmail is the identity of a mailbox: trimmed, NFC, lower-cased, the domain folded to its ASCII form.
// It returns "" for a text that cannot be an address. Pure: the same text gives the same key on every engine.
func NormEmail(raw string) string {
	s := strings.ToLower(norm.NFC.String(strings.TrimSpace(raw)))
	at := strings.LastIndexByte(s, '@')
	if at <= 0 || at == len(s)-1 || len(s) > 320 || strings.ContainsAny(s, " \t\r\n,;<>\"\x00") {
		return ""
	}
	if strings.Contains(s[:at], "@") {
		return ""
	}
	host, err := idna.Lookup.ToASCII(s[at+1:])
	if err != nil || host == "" {
		return ""
	}
	return s[:at] + "@" + host
}
