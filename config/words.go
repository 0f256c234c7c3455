package config

import "strings"

// isSecret tells a key whose value nobody may be shown. Each may be written as <key>_file instead.
func isSecret(key string) bool {
	k := strings.ToLower(key)
	if isAddress(k) {
		return true
	}
	for _, word := range []string{"key", "secret", "secrets", "password", "passwd", "token"} {
		if k == word || strings.HasSuffix(k, "_"+word) {
			return true
		}
	}
	return false
}

// isSecretValue leaves out addresses of databases without a password in them.
func isSecretValue(key, value string) bool {
	return isSecret(key) && (!isAddress(key) || strings.Contains(value, "@"))
}

func isAddress(key string) bool {
	k := strings.ToLower(key)
	return k == "database" || k == "dsn"
}

// closest gives the candidate that is probably meant, or "".
func closest(word string, candidates []string) string {
	best, bestDistance := "", len(word)/3+2
	for _, c := range candidates {
		if d := distance(strings.ToLower(word), c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// suggest names the one that is probably meant where a package can only list what there is ("one of: a, b").
func suggest(message, want string) string {
	names, isList := strings.CutPrefix(want, "one of")
	_, rest, quoted := strings.Cut(message, `"`)
	word, _, closed := strings.Cut(rest, `"`)
	if !isList || !quoted || !closed {
		return want
	}
	candidates := strings.Split(strings.TrimLeft(names, ": "), ", ")
	if near := closest(word, candidates); near != "" {
		return "did you mean " + near + "?"
	}
	return want
}

// distance counts the letters to insert, drop, replace or swap with their neighbour.
func distance(a, b string) int {
	ra, rb := []rune(a), []rune(b)
	rows := make([][]int, len(ra)+1)
	for i := range rows {
		rows[i] = make([]int, len(rb)+1)
		rows[i][0] = i
	}
	for j := range rb {
		rows[0][j+1] = j + 1
	}
	for i := range ra {
		for j := range rb {
			cost := 1
			if ra[i] == rb[j] {
				cost = 0
			}
			d := min(rows[i][j+1]+1, rows[i+1][j]+1, rows[i][j]+cost)
			if i > 0 && j > 0 && ra[i] == rb[j-1] && ra[i-1] == rb[j] {
				d = min(d, rows[i-1][j-1]+1)
			}
			rows[i+1][j+1] = d
		}
	}
	return rows[len(ra)][len(rb)]
}
