package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/relance/relance/internal/fault"
)

// Choices is the page on which a contact chooses what to get. It names nobody.
type Choices struct {
	Language   string // "fr" or "en"; "" = by the request
	Sender     string // who writes
	Expired    bool   // nothing can be chosen any more through this link
	Complained bool   // wanting mails does not bring them back
	Topics     []ChoiceTopic
	Frequency  string // "", weekly, monthly
	Hour       int    // 0 to 23; -1 = any
	Locale     string // "", fr, en
	Birthday   string // YYYY-MM-DD
}

// ChoiceTopic is one kind of mail. Title is "" for the only kind that there is.
type ChoiceTopic struct {
	ID, Title string
	Wanted    bool
}

// Act is how a person's act reached us.
type Act struct {
	Text string // that was shown
	IP   string
}

// ChoicesFuncs are what the pages behind links of choice and of double opt-in need. Tokens that were not signed here are
// ErrNotFound; language is as of LandingFunc.
type ChoicesFuncs struct {
	// Show gathers the page and changes nothing.
	Show func(ctx context.Context, token string, language func(locale string) string) (Choices, error)
	// Save carries out what was chosen, durably before it returns; it may be repeated. ErrBadChoice for what is none.
	Save func(ctx context.Context, token string, c Choices, act Act, language func(locale string) string) (Choices, error)
	// Confirming looks at a link of double opt-in and changes nothing; Confirm acts on it.
	Confirming func(ctx context.Context, token string, language func(locale string) string) (Confirmation, error)
	Confirm    func(ctx context.Context, token string, act Act, language func(locale string) string) (Confirmation, error)
}

// Confirmation is what a link of double opt-in stands for.
type Confirmation struct {
	Language, Sender string
	Expired, Done    bool
}

// ErrBadChoice says that a form holds what nobody can choose.
var ErrBadChoice = errors.New("no such choice")

type choicePages struct {
	template *template.Template
	style    string
}

func newChoicePages() choicePages {
	return choicePages{
		template: mustPages(template.FuncMap{"hours": hoursOfDay}, "choices.html"), style: mustAsset("public.css") + mustAsset("choices.css"),
	}
}

func hoursOfDay() []int {
	var all []int
	for h := 7; h < 23; h++ {
		all = append(all, h)
	}
	return all
}

func (p *public) routeChoices(mux *http.ServeMux) {
	if p.o.Choices == nil {
		return
	}
	mux.Handle("GET /p/{token}", p.limited(p.links, http.HandlerFunc(p.showChoices)))
	mux.Handle("POST /p/{token}", p.limited(p.links, http.HandlerFunc(p.saveChoices)))
	mux.Handle("GET /s/{token}", p.limited(p.links, http.HandlerFunc(p.showConfirmation)))
	mux.Handle("POST /s/{token}", p.limited(p.links, http.HandlerFunc(p.confirm)))
}

// showChoices answers GET and HEAD: programs that follow links change nothing.
func (p *public) showChoices(w http.ResponseWriter, r *http.Request) {
	c, err := p.o.Choices.Show(r.Context(), r.PathValue("token"), p.languageOf(r))
	p.answerChoices(w, r, c, "choose", err)
}

func (p *public) saveChoices(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.renderChoices(w, r, http.StatusBadRequest, choicesView{State: "bad"})
		return
	}
	chosen := Choices{Frequency: r.PostForm.Get("frequency"), Hour: -1, Locale: r.PostForm.Get("locale"), Birthday: r.PostForm.Get("birthday")}
	if raw := r.PostForm.Get("hour"); raw != "" {
		h, err := strconv.Atoi(raw)
		if err != nil {
			h = -2
		}
		chosen.Hour = h
	}
	for _, topic := range r.PostForm["offered"] {
		chosen.Topics = append(chosen.Topics, ChoiceTopic{ID: topic, Wanted: slices.Contains(r.PostForm["topic"], topic) && r.PostForm.Get("none") == ""})
	}
	language := p.languageOf(r)
	c, err := p.o.Choices.Save(r.Context(), r.PathValue("token"), chosen, Act{Text: choicesTextFor(language("")).Proof, IP: clientAddr(r, p.o.TrustedProxies).String()}, language)
	p.answerChoices(w, r, c, "saved", err)
}

func (p *public) answerChoices(w http.ResponseWriter, r *http.Request, c Choices, state string, err error) {
	v := choicesView{Choices: c, State: state}
	status := http.StatusOK
	switch {
	case errors.Is(err, ErrNotFound):
		v.State, status = "unknown", http.StatusNotFound
	case errors.Is(err, ErrBadChoice):
		v.State, status = "bad", http.StatusBadRequest
	case err != nil:
		p.o.Log.Warn("page of choices", zap.String("class", string(fault.ClassOf(err))), zap.Error(err))
		w.Header().Set("Retry-After", "30")
		v.State, status = "troubled", http.StatusServiceUnavailable
	case c.Expired:
		v.State = "expired"
	}
	p.renderChoices(w, r, status, v)
}

func (p *public) showConfirmation(w http.ResponseWriter, r *http.Request) {
	c, err := p.o.Choices.Confirming(r.Context(), r.PathValue("token"), p.languageOf(r))
	p.answerConfirmation(w, r, c, err)
}

func (p *public) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	language := p.languageOf(r)
	if err := r.ParseForm(); err != nil || r.PostForm.Get("confirm") != "yes" {
		p.renderChoices(w, r, http.StatusBadRequest, choicesView{State: "bad"})
		return
	}
	c, err := p.o.Choices.Confirm(r.Context(), r.PathValue("token"), Act{Text: choicesTextFor(language("")).Ask, IP: clientAddr(r, p.o.TrustedProxies).String()}, language)
	p.answerConfirmation(w, r, c, err)
}

func (p *public) answerConfirmation(w http.ResponseWriter, r *http.Request, c Confirmation, err error) {
	state := "confirm"
	if c.Done {
		state = "confirmed"
	}
	p.answerChoices(w, r, Choices{Language: c.Language, Sender: c.Sender, Expired: c.Expired}, state, err)
}

func (p *public) languageOf(r *http.Request) func(string) string {
	return func(locale string) string { return p.languageFor(r, locale) }
}

type choicesView struct {
	Choices
	State string // choose, saved, confirm, confirmed, expired, unknown, bad, troubled
	T     choicesText
	Style template.CSS
	Today string
}

func (p *public) renderChoices(w http.ResponseWriter, r *http.Request, status int, v choicesView) {
	if v.Language == "" {
		v.Language = p.languageFor(r, "")
	}
	v.T, v.Style, v.Today = choicesTextFor(v.Language), template.CSS(p.choices.style), time.Now().Format(time.DateOnly) //nolint:gosec // our own embedded files
	var out bytes.Buffer
	if err := p.choices.template.ExecuteTemplate(&out, "choices.html", v); err != nil {
		p.o.Log.Error("rendering a page of choices", zap.Error(err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src "+hashSource(p.choices.style)+"; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}
