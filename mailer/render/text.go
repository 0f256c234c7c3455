package render

import (
	"strings"
	"unicode"

	"github.com/k3a/html2text"
)

const maxSubject = 250 // characters; a longer one is cut by every mail program

// oneLine makes a subject of what a subject template wrote: one line, no control character (a name with CR LF must
// not become a header), no run of spaces, a bounded length.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	// Not strings.Fields: the no-break space before a French "!" stays.
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
	s = strings.Join(words, " ")
	if r := []rune(s); len(r) > maxSubject {
		s = strings.TrimSpace(string(r[:maxSubject-1])) + "…"
	}
	return s
}

// trim takes the white space around a page away but for one line break; a copy is made only if there is none.
func trim(s string) string {
	s = strings.TrimLeftFunc(s, unicode.IsSpace)
	end := len(strings.TrimRightFunc(s, unicode.IsSpace))
	if strings.HasPrefix(s[end:], "\n") {
		return s[:end+1]
	}
	return s[:end] + "\n"
}

// fromHTML derives the text part of a template that has none.
func fromHTML(html string) string {
	// html2text breaks lines at p, br, li and headings only; mails are made of tables.
	r := strings.NewReplacer("</tr>", "<br></tr>", "</div>", "<br></div>", "</td>", " </td>")
	return tidy(html2text.HTML2TextWithOptions(r.Replace(html), html2text.WithUnixLineBreaks(),
		html2text.WithLinksInnerText(), html2text.WithListSupport()))
}

// tidy trims every line and leaves at most one empty line in a row, so that {{if}} on a line of its own leaves no hole.
func tidy(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n")
	var b strings.Builder
	empty := 0
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if strings.TrimSpace(line) == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString(strings.Repeat("\n", min(empty, 1)))
		}
		empty = 0
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}
