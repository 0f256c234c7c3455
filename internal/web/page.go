package web

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
)

type adminPages struct {
	template *template.Template
	style    string
	script   string
	policy   string
}

func newAdminPages() adminPages {
	style, script := mustAsset("admin.css"), mustAsset("admin.js")
	return adminPages{
		template: mustPages(funcs(), "layout.html", "front.html", "lists.html", "mail.html"), style: style, script: script,
		policy: "default-src 'none'; style-src " + hashSource(style) + "; script-src " + hashSource(script) +
			"; connect-src 'self'; frame-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
	}
}

// view is what every page's template gets.
type view struct {
	Style    template.CSS
	Script   template.JS
	Title    string
	Refresh  bool // the page fetches itself again while it is looked at
	Overview Overview
	Contacts ContactPage
	Mails    MailPage
	Mail     Mail
	Captured bool   // mail is kept here
	Trouble  string // shown instead of the page's content
	Next     string // query of the next page
}

func (a *admin) front(w http.ResponseWriter, r *http.Request) {
	v := view{Title: "Overview", Refresh: true, Captured: a.o.Mails != nil}
	var err error
	if v.Overview, err = a.o.Overview(r.Context()); err != nil {
		a.trouble(w, err)
		return
	}
	if v.Contacts, err = a.o.Contacts(r.Context(), "", frontLines); err != nil {
		a.trouble(w, err)
		return
	}
	if v.Mails, err = a.mailPage(r.Context(), "", frontLines); err != nil {
		a.trouble(w, err)
		return
	}
	a.show(w, http.StatusOK, "front", v)
}

func (a *admin) contacts(w http.ResponseWriter, r *http.Request) {
	p, err := a.o.Contacts(r.Context(), r.URL.Query().Get("after"), pageLines)
	if err != nil {
		a.trouble(w, err)
		return
	}
	a.show(w, http.StatusOK, "contacts", view{Title: "Contacts", Contacts: p, Next: after(p.Next)})
}

func (a *admin) mails(w http.ResponseWriter, r *http.Request) {
	p, err := a.mailPage(r.Context(), r.URL.Query().Get("after"), pageLines)
	if err != nil {
		a.trouble(w, err)
		return
	}
	a.show(w, http.StatusOK, "mails", view{Title: "Mails", Mails: p, Captured: a.o.Mails != nil, Next: after(p.Next)})
}

func (a *admin) open(w http.ResponseWriter, r *http.Request) (Mail, bool) {
	if a.o.Mail == nil {
		a.trouble(w, ErrNotFound)
		return Mail{}, false
	}
	m, err := a.o.Mail(r.Context(), r.PathValue("id"))
	if err != nil {
		a.trouble(w, err)
	}
	return m, err == nil
}

func (a *admin) mail(w http.ResponseWriter, r *http.Request) {
	if m, ok := a.open(w, r); ok {
		a.show(w, http.StatusOK, "mail", view{Title: m.Subject, Mail: m})
	}
}

// mailPolicy lets a mail look as it does in a mail program and do nothing: no script, no form, no frame; pictures
// come from the shop. The page shows it in a sandboxed frame; the policy holds when it is opened by itself.
const mailPolicy = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; " +
	"img-src http: https: data:; font-src data:; form-action 'none'; frame-ancestors 'self'"

func (a *admin) mailHTML(w http.ResponseWriter, r *http.Request) {
	m, ok := a.open(w, r)
	if !ok {
		return
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(linksOutside(m.HTML)))
}

// linksOutside makes a mail's links open in a page of their own, as mail programs do.
func linksOutside(html string) string {
	const base = `<base target="_blank">`
	lower := strings.ToLower(html)
	if i := strings.Index(lower, "<head"); i >= 0 {
		if j := strings.IndexByte(lower[i:], '>'); j >= 0 {
			return html[:i+j+1] + base + html[i+j+1:]
		}
	}
	return base + html
}

func (a *admin) lost(w http.ResponseWriter, _ *http.Request) { a.trouble(w, ErrNotFound) }

func (a *admin) trouble(w http.ResponseWriter, err error) {
	status := a.statusOf(err)
	v := view{Title: "Not found", Trouble: "There is nothing here. It may have been deleted."}
	if status != http.StatusNotFound {
		v = view{Title: "Not now", Trouble: err.Error(), Refresh: true}
	}
	a.show(w, status, "trouble", v)
}

func (a *admin) show(w http.ResponseWriter, status int, name string, v view) {
	v.Style, v.Script = template.CSS(a.page.style), template.JS(a.page.script) //nolint:gosec // our own embedded files
	var out bytes.Buffer
	if err := a.page.template.ExecuteTemplate(&out, name, v); err != nil {
		a.o.Log.Error("rendering a page", zap.String("page", name), zap.Error(err))
		sentence(w, http.StatusInternalServerError, "this page could not be rendered")
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

func after(cursor string) string {
	if cursor == "" {
		return ""
	}
	return "?after=" + url.QueryEscape(cursor)
}
