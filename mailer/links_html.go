package mailer

import (
	"html"
	"strings"
	"unicode/utf8"
)

// rewriteHTML gives each link's address to change, decoded, and puts what it answers in its place; what change leaves
// alone (false) stays byte for byte. Links are the href of a, area and Outlook's shapes (v:…), in comments too: Outlook
// reads conditional ones. A tag with clicktracking="off" is left alone. It scans bytes and builds no tree: a mail is of
// our own making, and every mail comes through here.
func rewriteHTML(page string, change func(address string) (string, bool)) string {
	var out strings.Builder
	var known changes
	done := 0 // up to here page is in out
	for at := 0; ; {
		i := strings.IndexByte(page[at:], '<')
		if i < 0 {
			break
		}
		at += i + 1
		name := linkTag(page[at:])
		if name == 0 {
			continue
		}
		t := readTag(page, at+name)
		at = t.end
		if t.href.end == 0 || t.off {
			continue
		}
		raw := page[t.href.start:t.href.end]
		put, ok := known.of(raw, change)
		if !ok {
			continue
		}
		if done == 0 {
			out.Grow(len(page) + 4096)
		}
		out.WriteString(page[done:t.href.start])
		if t.bare {
			put = `"` + put + `"`
		}
		out.WriteString(put)
		done = t.href.end
	}
	if done == 0 {
		return page
	}
	out.WriteString(page[done:])
	return out.String()
}

// changes remembers what became of an address: a picture and the name below it lead to the same place.
type changes []change

type change struct {
	raw, put string
	changed  bool
}

func (a *changes) of(raw string, ask func(string) (string, bool)) (string, bool) {
	for _, k := range *a {
		if k.raw == raw {
			return k.put, k.changed
		}
	}
	put, changed := ask(decodeAddress(raw))
	if changed {
		put = html.EscapeString(put)
	}
	*a = append(*a, change{raw, put, changed})
	return put, changed
}

// linkTag is the length of the tag's name if it is one that has links, else 0.
func linkTag(s string) int {
	n := 0
	for n < len(s) && n < 32 && !isSpace(s[n]) && s[n] != '/' && s[n] != '>' {
		n++
	}
	if n == len(s) || !isSpace(s[n]) && s[n] != '/' {
		return 0
	}
	if name := s[:n]; n == 1 && name[0]|0x20 == 'a' || strings.EqualFold(name, "area") || n > 2 && strings.EqualFold(name[:2], "v:") {
		return n
	}
	return 0
}

// tag is what matters of a start tag.
type tag struct {
	href struct{ start, end int } // of the value in the page; end is 0 when there is none
	bare bool                     // the value has no quotes
	off  bool                     // clicktracking="off"
	end  int
}

// readTag reads attributes from at to the end of the tag. Of two of the same name the first counts, as in browsers. A tag
// that does not end has no link.
func readTag(page string, at int) tag {
	var t tag
	for {
		for at < len(page) && (isSpace(page[at]) || page[at] == '/') {
			at++
		}
		if at >= len(page) {
			return tag{end: len(page)}
		}
		if page[at] == '>' {
			t.end = at + 1
			return t
		}
		name := at
		for at++; at < len(page) && !isSpace(page[at]) && page[at] != '/' && page[at] != '>' && page[at] != '='; {
			at++
		}
		attribute := page[name:at]
		start, end, after, bare := readValue(page, at)
		if at = after; at < 0 {
			return tag{end: len(page)}
		}
		switch {
		case end > start && t.href.end == 0 && strings.EqualFold(attribute, "href"):
			t.href.start, t.href.end, t.bare = start, end, bare
		case end > start && strings.EqualFold(attribute, "clicktracking"):
			t.off = strings.EqualFold(page[start:end], "off")
		}
	}
}

// readValue reads "= value" after an attribute's name: where the value lies and where it goes on after it; -1 when a
// quote is left open.
func readValue(page string, at int) (start, end, after int, bare bool) {
	i := at
	for i < len(page) && isSpace(page[i]) {
		i++
	}
	if i >= len(page) || page[i] != '=' {
		return 0, 0, at, false
	}
	for i++; i < len(page) && isSpace(page[i]); {
		i++
	}
	if i >= len(page) {
		return 0, 0, -1, false
	}
	if quote := page[i]; quote == '"' || quote == '\'' {
		n := strings.IndexByte(page[i+1:], quote)
		if n < 0 {
			return 0, 0, -1, false
		}
		return i + 1, i + 1 + n, i + n + 2, false
	}
	for start = i; i < len(page) && !isSpace(page[i]) && page[i] != '>'; {
		i++
	}
	return start, i, i, true
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\t' || b == '\r' || b == '\f' }

// decodeAddress reads an attribute's value as a browser reads an address: references resolved, spaces at both ends and
// line breaks anywhere left out.
func decodeAddress(raw string) string {
	s := raw
	if strings.IndexByte(s, '&') >= 0 {
		s = decodeReferences(s)
	}
	if strings.ContainsAny(s, "\t\n\r") {
		s = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(s)
	}
	return strings.Trim(s, " \f\x00")
}

// decodeReferences is html.UnescapeString by the rules for attributes: without a semicolon, &copy is © only if neither =
// nor a letter or digit follows, so that ?a=1&copy=2 stays what it is.
func decodeReferences(s string) string {
	var out strings.Builder
	for {
		i := strings.IndexByte(s, '&')
		if i < 0 {
			out.WriteString(s)
			return out.String()
		}
		out.WriteString(s[:i])
		s = s[i:]
		n, ok := reference(s)
		if ok {
			out.WriteString(html.UnescapeString(s[:n]))
		} else {
			out.WriteString(s[:n])
		}
		s = s[n:]
	}
}

// reference measures what begins with & at the beginning of s, and tells whether it stands for something else.
func reference(s string) (n int, ok bool) {
	if n, ok = numericReference(s); ok {
		return n, true
	}
	for n = 1; n < len(s) && isWord(s[n]); {
		n++
	}
	most := 1 // characters that a name without a semicolon stands for; a shorter name within would leave more
	if n < len(s) && s[n] == ';' {
		n, most = n+1, 2
	} else if n < len(s) && s[n] == '=' {
		return n, false
	}
	decoded := html.UnescapeString(s[:n])
	return n, decoded != s[:n] && utf8.RuneCountInString(decoded) <= most
}

// numericReference is &#38; or &#x26; with or without the semicolon.
func numericReference(s string) (n int, ok bool) {
	if len(s) < 3 || s[1] != '#' {
		return 0, false
	}
	n, digits := 2, "0123456789"
	if s[2]|0x20 == 'x' {
		n, digits = 3, "0123456789abcdefABCDEF"
	}
	begin := n
	for n < len(s) && strings.IndexByte(digits, s[n]) >= 0 {
		n++
	}
	if n == begin {
		return 0, false
	}
	if n < len(s) && s[n] == ';' {
		n++
	}
	return n, true
}

func isWord(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
