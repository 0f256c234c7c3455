package web

import (
	"bytes"
	"errors"
	"html/template"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
	"golang.org/x/text/language"

	"github.com/relance/relance/internal/fault"
)

// maxForm is far above the one line of RFC 8058.
const maxForm = 16 << 10

type unsubscribePages struct {
	template *template.Template
	style    string
	policy   string
	match    language.Matcher
}

func newUnsubscribePages() unsubscribePages {
	style := mustAsset("public.css")
	return unsubscribePages{
		template: mustPages(nil, "unsubscribe.html"), style: style,
		policy: "default-src 'none'; style-src " + hashSource(style) + "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		match:  language.NewMatcher([]language.Tag{language.English, language.French}),
	}
}

// state is which page is shown: the question, the answer, or a sentence about what went wrong.
type state string

const (
	stateAsk       state = "ask"
	stateDone      state = "done"
	stateUnknown   state = "unknown"
	stateBad       state = "bad"
	stateTroubled  state = "troubled"
	oneClickField        = "List-Unsubscribe"
	oneClickAnswer       = "One-Click"
)

// showUnsubscribe answers GET and HEAD. Link scanners follow every link of a mail: it changes nothing.
func (p *public) showUnsubscribe(w http.ResponseWriter, r *http.Request) {
	s, err := p.o.Subscription(r.Context(), r.PathValue("token"))
	switch {
	case err != nil:
		p.troubled(w, r, err)
	case s.Ended:
		p.show(w, r, http.StatusOK, stateDone, s)
	default:
		p.show(w, r, http.StatusOK, stateAsk, s)
	}
}

// unsubscribe acts, and answers 200 again when repeated: RFC 8058 from a mail program, or the page's own button.
func (p *public) unsubscribe(w http.ResponseWriter, r *http.Request) {
	if !oneClick(http.MaxBytesReader(w, r.Body, maxForm), r.Header.Get("Content-Type")) {
		p.show(w, r, http.StatusBadRequest, stateBad, Subscription{})
		return
	}
	s, err := p.o.Unsubscribe(r.Context(), r.PathValue("token"))
	if err != nil {
		p.troubled(w, r, err)
		return
	}
	p.show(w, r, http.StatusOK, stateDone, s)
}

func (p *public) troubled(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, ErrNotFound) {
		p.show(w, r, http.StatusNotFound, stateUnknown, Subscription{})
		return
	}
	p.o.Log.Warn("unsubscribe page", zap.String("method", r.Method), zap.String("class", string(fault.ClassOf(err))), zap.Error(err))
	w.Header().Set("Retry-After", "30") // mail providers repeat a one-click that failed
	p.show(w, r, http.StatusServiceUnavailable, stateTroubled, Subscription{})
}

// oneClick tells an RFC 8058 body (urlencoded or multipart) or an empty one from anything else.
func oneClick(body io.Reader, contentType string) bool {
	raw, err := io.ReadAll(body)
	if err != nil {
		return false
	}
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return true
	}
	kind, params, _ := mime.ParseMediaType(contentType) // without a type the body is read as a form
	if kind == "multipart/form-data" {
		r := http.Request{Header: http.Header{"Content-Type": {contentType}}, Method: http.MethodPost, Body: io.NopCloser(bytes.NewReader(raw))}
		return params["boundary"] != "" && r.ParseMultipartForm(maxForm) == nil && r.FormValue(oneClickField) == oneClickAnswer
	}
	form, err := url.ParseQuery(string(raw))
	return err == nil && strings.EqualFold(form.Get(oneClickField), oneClickAnswer)
}

type unsubscribeView struct {
	State  state
	Sender string
	T      unsubscribeText
	Style  template.CSS
}

func (p *public) show(w http.ResponseWriter, r *http.Request, status int, st state, s Subscription) {
	tag, _ := language.MatchStrings(p.page.match, r.Header.Get("Accept-Language"))
	var out bytes.Buffer
	err := p.page.template.ExecuteTemplate(&out, "unsubscribe.html", unsubscribeView{
		State: st, Sender: s.Sender, T: textFor(tag), Style: template.CSS(p.page.style), //nolint:gosec // our own embedded file
	})
	if err != nil {
		p.o.Log.Error("rendering the unsubscribe page", zap.Error(err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}
