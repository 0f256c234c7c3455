package push

import (
	"regexp"
	"strings"
	"unicode"
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

// closest is the candidate that is probably meant, or "".
func closest(word string, candidates []string) string {
	if len(word) > 40 {
		return ""
	}
	word = strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	best, bestDistance := "", len(word)/3+2
	for _, c := range candidates {
		if d := distance(word, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the letters to insert, drop or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			last, row[j+1] = row[j+1], min(last+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
