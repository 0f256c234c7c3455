package push

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/relance/relance/internal/spelling"
)

// pointer appends a name to a JSON pointer (RFC 6901). A name that is not one of a field is not repeated: it may be data.
func pointer(at, name string) string {
	if !isName(name) {
		return at
	}
	return at + "/" + name
}

var fieldName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

func isName(s string) bool { return fieldName.MatchString(s) }

func unknownField(name string, known []string) string {
	if near := closest(name, known); near != "" {
		return "is no field of ours; did you mean " + near + "?"
	}
	return "is no field of ours"
}

// clean makes control characters spaces and trims: what is stored can be shown.
func clean(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, s))
}

// closest is the candidate that is probably meant, or "". What is longer than any name of ours is data.
func closest(word string, candidates []string) string {
	if len(word) > 40 {
		return ""
	}
	return spelling.Closest(strings.ReplaceAll(word, "-", "_"), candidates)
}
