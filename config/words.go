package config

import (
	"strings"

	"github.com/relance/relance/internal/spelling"
)

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

// suggest names the one that is probably meant where a package can only list what there is ("one of: a, b").
func suggest(message, want string) string {
	names, isList := strings.CutPrefix(want, "one of")
	_, rest, quoted := strings.Cut(message, `"`)
	word, _, closed := strings.Cut(rest, `"`)
	if !isList || !quoted || !closed {
		return want
	}
	candidates := strings.Split(strings.TrimLeft(names, ": "), ", ")
	if near := spelling.Closest(word, candidates); near != "" {
		return "did you mean " + near + "?"
	}
	return want
}
