package config

import (
	"regexp"
	"slices"
	"strings"
)

const masked = "***"

// masker hides secrets in what people are shown: values of secret keys by looking at the text (a file that does not
// parse has no tree), and every secret value known from the tree or the environment wherever it turns up.
type masker struct {
	values  []string       // literal secrets
	key     *regexp.Regexp // up to the value of a secret key
	address *regexp.Regexp // up to the address of a database
	looks   *regexp.Regexp // what looks like a key of some service wherever it stands
	email   *regexp.Regexp
}

func newMasker() *masker {
	word := `[\w.-]*(?:key|secrets?|password|passwd|token)`
	return &masker{
		key:     regexp.MustCompile(`(?i)^.*?(?:["']` + word + `["']\s*:\s*|` + word + `\s*:(?:\s+|$))`),
		address: regexp.MustCompile(`(?i)^\s*["']?(?:database|dsn)["']?\s*:\s+`),
		looks:   regexp.MustCompile(`\b(?:ck|cs|sk|pk|rk|SG|whsec|xkeysib)[_.-][A-Za-z0-9_.-]{6,}|[A-Za-z0-9_-]{20,}`),
		email:   regexp.MustCompile(`[^\s@"<>,;:\[\]{}()|=]+@[^\s@"'<>,;:\[\]{}()|=]+\.[^\s@"'<>,;:\[\]{}()|=]+`),
	}
}

// hide adds a secret. Short ones are left out: "1" would mask half of every text.
func (m *masker) hide(secret string) {
	for part := range strings.Lines(secret) {
		if part = strings.TrimSpace(part); len(part) >= 4 {
			m.values = append(m.values, part)
		}
	}
}

// text masks a message.
func (m *masker) text(s string) string {
	spans := m.spans(s)
	for _, span := range slices.Backward(spans) {
		s = s[:span[0]] + masked + s[span[1]:]
	}
	return s
}

// line masks the line with the given number (from 1) of a file and moves the column (from 1) with it.
func (m *masker) line(lines []string, number, column int) (string, int) {
	if number < 1 || number > len(lines) {
		return "", 1
	}
	s := lines[number-1]
	if start, ok := m.secretStart(lines, number); ok && start < len(s) && !isReference(s[start:]) {
		at := len([]rune(s[:start]))
		return m.text(s[:start]) + masked, min(column, at+1)
	}
	for _, span := range slices.Backward(m.spans(s)) {
		from, to := len([]rune(s[:span[0]])), len([]rune(s[:span[1]]))
		switch {
		case column > to:
			column -= to - from - len(masked)
		case column > from+1:
			column = from + 1
		}
		s = s[:span[0]] + masked + s[span[1]:]
	}
	return s, column
}

// spans finds secrets and addresses of people: byte ranges, in order, apart from each other.
func (m *masker) spans(s string) [][2]int {
	hide := make([]bool, len(s)+1)
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			hide[i] = true
		}
	}
	for _, v := range m.values {
		for at := 0; ; {
			i := strings.Index(s[at:], v)
			if i < 0 {
				break
			}
			mark(at+i, at+i+len(v))
			at += i + len(v)
		}
	}
	for _, loc := range m.email.FindAllStringIndex(s, -1) {
		mark(loc[0], loc[1])
	}
	for _, loc := range m.looks.FindAllStringIndex(s, -1) {
		if isKeyLike(s[loc[0]:loc[1]]) {
			mark(loc[0], loc[1])
		}
	}
	var out [][2]int
	for i, start := 0, -1; i <= len(s); i++ {
		switch {
		case hide[i] && start < 0:
			start = i
		case !hide[i] && start >= 0:
			out = append(out, [2]int{start, i})
			start = -1
		}
	}
	return out
}

// isKeyLike tells random letters and digits from words: a key has several digits. The id of a dynamic template of SendGrid has
// them too, and is none.
func isKeyLike(s string) bool {
	if id, ok := strings.CutPrefix(s, "d-"); ok && strings.Trim(id, "0123456789abcdef") == "" {
		return false
	}
	digits := 0
	for _, r := range s {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	return digits >= 3
}

// secretStart tells from which byte on a line is secret: after a secret key, or all of it when a secret value
// of several lines runs through it.
func (m *masker) secretStart(lines []string, number int) (int, bool) {
	if loc := m.key.FindStringIndex(lines[number-1]); loc != nil {
		return loc[1], true
	}
	if loc := m.address.FindStringIndex(lines[number-1]); loc != nil && strings.Contains(lines[number-1], "@") {
		return loc[1], true
	}
	for n := number - 1; n >= 1; n-- {
		above := lines[n-1]
		if strings.TrimSpace(above) == "" || indent(above) >= indent(lines[number-1]) && !m.key.MatchString(above) {
			continue
		}
		if m.key.MatchString(above) {
			line := lines[number-1]
			item := indent(line) == indent(above) && strings.HasPrefix(strings.TrimSpace(line), "- ") // of a list under the key
			runs := (item || indent(line) > indent(above)) && !strings.Contains(line, ": ")
			return indent(line), runs
		}
		return 0, false
	}
	return 0, false
}

func indent(s string) int { return len(s) - len(strings.TrimLeft(s, " \t")) }

// isReference tells a value that only names where the secret is.
func isReference(value string) bool {
	v := strings.Trim(strings.TrimSpace(value), `"'`)
	return v == "" || strings.HasPrefix(v, "${") && strings.Index(v, "}") == len(v)-1
}
