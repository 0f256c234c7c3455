package render

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

var errOwn = errors.New("an address that only the reader may open is shared: .Landing, .Cart.RecoverURL, .Unsubscribe and .Preferences are theirs alone")

// share opens a mail to whoever the reader chooses. What is passed on says nothing of who passes it on.
func share(subject, text string) (string, error) {
	if isOwn(text) {
		return "", errOwn
	}
	return "mailto:?subject=" + escaped(subject) + "&body=" + escaped(text), nil
}

// public is an address as it may be passed on: without the marks of the mail that it stands in.
func public(address string) (string, error) {
	if isOwn(address) {
		return "", errOwn
	}
	before, fragment, marked := strings.Cut(address, "#")
	path, query, asked := strings.Cut(before, "?")
	if asked {
		pairs := slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool { return strings.HasPrefix(pair, "utm_") })
		if before = path; len(pairs) > 0 {
			before += "?" + strings.Join(pairs, "&")
		}
	}
	if marked {
		before += "#" + fragment
	}
	return before, nil
}

// isOwn finds a signed address of ours, or the sample's.
func isOwn(text string) bool {
	return regexp.MustCompile(`/[clup]/(?:[a-z]1\.[\w-]+\.|sample-token)`).MatchString(text)
}
