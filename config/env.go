package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Env looks a variable up, as os.LookupEnv does.
type Env func(name string) (string, bool)

const envFile = ".env"

// withDotEnv looks in the environment first, then in the folder's .env, so that a checkout with its .env works as is
// and a service manager's settings win.
func withDotEnv(dir string, env Env) (Env, error) {
	data, err := os.ReadFile(filepath.Join(dir, envFile))
	if errors.Is(err, os.ErrNotExist) {
		return env, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", envFile, err)
	}
	vars := map[string]string{}
	for n, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "export "))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !isName(name) {
			return nil, Mistakes{{
				File: envFile, Line: n + 1, Column: 1, Excerpt: masked, caret: 1,
				Message: "this line sets no variable", Want: "NAME=value, one per line; # begins a comment",
			}}
		}
		vars[name] = unquote(strings.TrimSpace(value))
	}
	return func(name string) (string, bool) {
		if v, ok := env(name); ok {
			return v, true
		}
		v, ok := vars[name]
		return v, ok
	}, nil
}

func unquote(v string) string {
	if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
		return v[1 : len(v)-1]
	}
	return v
}

func isName(s string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(s)
}

// expand replaces ${VAR}; $${ stands for ${ itself. used lists the values put in, missing the names not set.
func expand(s string, env Env) (out string, used, missing []string, err error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), used, missing, nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1] + "${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		name, rest, closed := strings.Cut(s[i+2:], "}")
		if !closed || !isName(name) {
			return "", nil, nil, errors.New("${ begins a variable, and its name or } is not right")
		}
		v, ok := env(name)
		if !ok {
			missing = append(missing, name)
		}
		used = append(used, v)
		b.WriteString(v)
		s = rest
	}
}
