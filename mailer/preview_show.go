package mailer

import (
	"strings"

	"golang.org/x/net/html"
)

// MailLink is a link of a mail, for people.
type MailLink struct {
	Text   string `json:"text,omitempty"` // what the reader sees; "" for a picture without words
	Target string `json:"target"`         // where it leads in the end
	Own    bool   `json:"own,omitempty"`  // by way of our own redirect
}

// Links lists the links of the HTML part in their order, each address once: of those that lead by way of our redirect, where
// they lead in the end.
func (m Mail) Links(k Keys) []MailLink {
	var out []MailLink
	seen := map[string]bool{}
	eachNode(m.HTML, func(n *html.Node) bool {
		address := attribute(n, "href")
		if n.Type != html.ElementNode || n.Data != "a" || address == "" || seen[address] {
			return true
		}
		seen[address] = true
		l := MailLink{Text: words(n), Target: address}
		if _, token, ok := strings.Cut(address, clickPath); ok {
			if c, err := k.Click(token); err == nil {
				l.Target, l.Own = c.Target, true
			}
		}
		out = append(out, l)
		return true
	})
	return out
}

// Preheader is what mail programs show beside the subject: the words of the first element that is not shown, "" when there
// is none.
func (m Mail) Preheader() string {
	found := ""
	eachNode(m.HTML, func(n *html.Node) bool {
		style := strings.ReplaceAll(strings.ToLower(attribute(n, "style")), " ", "")
		if n.Type == html.ElementNode && strings.Contains(style, "display:none") {
			found = words(n)
		}
		return found == ""
	})
	return found
}

// eachNode visits the nodes of a page in their order until visit says no.
func eachNode(page string, visit func(n *html.Node) bool) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil { // html.Parse reads everything
		return
	}
	for n := range root.Descendants() {
		if !visit(n) {
			return
		}
	}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// words are what a reader sees of an element; of a picture, what stands in its place.
func words(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		} else {
			b.WriteString(" " + attribute(d, "alt"))
		}
	}
	// Invisible signs keep mail programs from showing what comes after a preheader.
	blank := func(r rune) rune {
		switch r {
		case '\u00a0', '\u034f', '\u200b', '\u200c', '\u200d', '\ufeff', '\u00ad', '\u2007':
			return ' '
		}
		return r
	}
	return strings.Join(strings.Fields(strings.Map(blank, b.String())), " ")
}
