package outbox

import (
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/mailer"
)

// row is one value that a template of the provider would be filled in with.
type row struct{ Key, Value string }

// shown gives a mail that the provider would fill in something for people to read: the template's id and its data, by
// the names that the template uses.
func shown(m mailer.Mail) mailer.Mail {
	rows := flat("", m.TemplateData)
	m.Subject = "Template " + m.TemplateID
	var text, html strings.Builder
	fmt.Fprintf(&text, "SendGrid would fill in its template %s with:\n\n", m.TemplateID)
	for _, r := range rows {
		fmt.Fprintf(&text, "%s: %s\n", r.Key, r.Value)
	}
	page := template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>{{.ID}}</title>
<body style="font:14px/1.5 sans-serif;margin:24px"><p>SendGrid would fill in its template <b>{{.ID}}</b> with:</p>
<table style="border-collapse:collapse">{{range .Rows}}<tr><td style="padding:2px 16px 2px 0;color:#555;vertical-align:top;white-space:nowrap">{{.Key}}</td><td style="padding:2px 0;overflow-wrap:anywhere">{{.Value}}</td></tr>
{{end}}</table></body>
`))
	if err := page.Execute(&html, map[string]any{"ID": m.TemplateID, "Rows": rows}); err != nil {
		html.Reset() // the text says it all
	}
	m.Text, m.HTML = text.String(), html.String()
	return m
}

// flat lists values under the names that a template uses: cart.lines.0.name.
func flat(under string, v any) []row {
	at := func(key string) string {
		if under == "" {
			return key
		}
		return under + "." + key
	}
	var out []row
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, flat(at(key), v[key])...)
		}
	case map[string]string:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			out = append(out, row{at(key), v[key]})
		}
	case []any:
		for i, one := range v {
			out = append(out, flat(at(strconv.Itoa(i)), one)...)
		}
	default:
		out = append(out, row{under, fmt.Sprint(v)})
	}
	return out
}
