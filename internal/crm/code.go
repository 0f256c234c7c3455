package crm

import (
	"strings"
	"unicode/utf8"
)

// MaxCode is the length of a coupon's code in characters; shops know no longer ones worth having.
const MaxCode = 64

// CodeKey is a coupon's code as codes are compared: shops take NOEL and noel for the same. "" for what is no code.
func CodeKey(code string) string {
	key := strings.ToLower(strings.TrimSpace(code))
	if utf8.RuneCountInString(key) > MaxCode {
		return ""
	}
	return key
}
