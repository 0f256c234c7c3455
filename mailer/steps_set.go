package mailer

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/internal/mirror"
)

// set reads what a step notes of its contact; the names are written as conditions and templates name them.
func (k *compiler) set(path string, raw map[string]string) map[string]string {
	if len(raw) == 0 {
		k.wrong(path, "nothing is set", `{relance.<name>: <value>}; "" removes one`)
	}
	out := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		own, ours := strings.CutPrefix(name, mirror.AttributePrefix)
		at := path + strings.TrimPrefix(yamlPath(name), "$")
		switch value := raw[name]; {
		case !ours:
			k.wrong(at, quoted(name)+" belongs to the shops", "a name that begins with relance., such as relance."+clip(name, 20))
		case !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,55}$`).MatchString(own):
			k.wrong(at, quoted(name)+" is no name of an attribute", "relance. and letters a-z, digits, _ and -, at most 64 in all")
		case len([]rune(value)) > 500:
			k.wrong(at, "the value is longer than 500 characters", "a shorter one")
		default:
			k.knownAttribute(at, own, value)
		}
		out[own] = raw[name]
	}
	return out
}

// knownAttribute checks the values that Relance itself goes by.
func (k *compiler) knownAttribute(path, name, value string) {
	if value == "" {
		return
	}
	switch name {
	case mirror.AttributePreferredHour:
		if h, err := strconv.Atoi(value); err != nil || h < 0 || h > 23 {
			k.wrong(path, quoted(value)+" is no hour", "0 to 23")
		}
	case mirror.AttributeBirthday:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			k.wrong(path, quoted(value)+" is no day", "a day such as 1985-04-23")
		}
	case mirror.AttributeLocale:
		if !regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$`).MatchString(value) {
			k.wrong(path, quoted(value)+" is no language", "fr, en, or with a country fr-BE")
		}
	}
}
