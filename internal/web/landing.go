package web

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/text/language"

	"github.com/relance/relance/internal/fault"
)

// Landing is what a page shows that a mail leads to. It names nobody. Amounts are formatted, addresses are http or https.
type Landing struct {
	Language string // "fr" or "en"; "" = by the request
	Expired  bool   // nothing but the way to the shop is shown
	Shop     string // title
	ShopURL  string // "" when not known
	Redirect string // lead there instead
	Cart     *LandingCart
	Picks    []LandingItem
	Coupon   *LandingCoupon
}

// LandingCart is a cart as it was left.
type LandingCart struct {
	Items []LandingItem
	Total string
	URL   string // where the shop shows the visitor's cart
}

// LandingItem is one thing to buy.
type LandingItem struct {
	Name, Price, ImageURL, URL string
	Quantity                   int64 // 0: not said
}

// LandingCoupon is a code.
type LandingCoupon struct {
	Code, Worth string    // Worth may be ""
	Until       time.Time // last day; zero: not said
}

// LandingFunc gathers a page; language picks the page's, "fr" or "en", for a contact's locale. It changes nothing.
// ErrNotFound for a token that was not signed here; what is known of the shop comes with any other error.
type LandingFunc func(ctx context.Context, token string, language func(locale string) string) (Landing, error)

type landingPages struct {
	template *template.Template
	style    string
	match    language.Matcher
}

func newLandingPages() landingPages {
	return landingPages{
		template: mustPages(template.FuncMap{"initial": initialOf, "day": dayIn}, "landing.html"), style: mustAsset("public.css") + mustAsset("landing.css"),
		match: language.NewMatcher([]language.Tag{language.English, language.French}),
	}
}

// landingState is which page is shown.
type landingState string

const (
	landingCart     landingState = "cart"
	landingPicks    landingState = "picks"
	landingExpired  landingState = "expired"
	landingUnknown  landingState = "unknown"
	landingTroubled landingState = "troubled"
)

// landingWithin bounds how long a page may be gathered.
const landingWithin = 5 * time.Second

func (p *public) routeLandings(mux *http.ServeMux) {
	if p.o.Landing != nil {
		// Beside the redirects, whose targets these pages are: see there.
		mux.Handle("GET /l/{token}", p.limited(newLimiter(50, 500), http.HandlerFunc(p.openLanding)))
	}
}

// openLanding answers GET and HEAD. It logs nobody in and changes nothing: a program may follow the link as often as it
// likes.
func (p *public) openLanding(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), landingWithin)
	defer cancel()
	l, err := p.o.Landing(ctx, r.PathValue("token"), func(locale string) string { return p.languageFor(r, locale) })
	switch {
	case errors.Is(err, ErrNotFound):
		p.showLanding(w, r, http.StatusNotFound, landingUnknown, Landing{})
	case err != nil:
		p.o.Log.Warn("landing page", zap.String("class", string(fault.ClassOf(err))), zap.Error(err))
		w.Header().Set("Retry-After", "30")
		p.showLanding(w, r, http.StatusServiceUnavailable, landingTroubled, Landing{Language: l.Language, Shop: l.Shop, ShopURL: l.ShopURL})
	case l.Expired:
		p.showLanding(w, r, http.StatusOK, landingExpired, Landing{Language: l.Language, Shop: l.Shop, ShopURL: l.ShopURL})
	case l.Redirect != "":
		w.Header().Set("Location", location(l.Redirect))
		w.WriteHeader(http.StatusFound)
	case l.Cart != nil:
		p.showLanding(w, r, http.StatusOK, landingCart, l)
	default:
		p.showLanding(w, r, http.StatusOK, landingPicks, l)
	}
}

// languageFor is the contact's if it is one of ours, else what the browser asks for, else English.
func (p *public) languageFor(r *http.Request, locale string) string {
	tag, _ := language.MatchStrings(p.landing.match, locale, r.Header.Get("Accept-Language"))
	base, _ := tag.Base()
	return base.String()
}

type landingView struct {
	Landing
	State landingState
	T     landingText
	Style template.CSS
}

func (p *public) showLanding(w http.ResponseWriter, r *http.Request, status int, st landingState, l Landing) {
	if l.Language == "" {
		l.Language = p.languageFor(r, "")
	}
	var out bytes.Buffer
	err := p.landing.template.ExecuteTemplate(&out, "landing.html", landingView{
		Landing: l, State: st, T: landingTextFor(l.Language), Style: template.CSS(p.landing.style), //nolint:gosec // our own embedded files
	})
	if err != nil {
		p.o.Log.Error("rendering a landing page", zap.Error(err))
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", p.landing.policy(l))
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes())
}

// policy lets the page show its own style and the pictures that it names, from their hosts, and nothing else.
func (g landingPages) policy(l Landing) string {
	var hosts []string
	items := l.Picks
	if l.Cart != nil {
		items = slices.Concat(l.Cart.Items, l.Picks)
	}
	for _, i := range items {
		if u, err := url.Parse(i.ImageURL); err == nil && plainHost(u.Host) && (u.Scheme == "https" || u.Scheme == "http") {
			hosts = append(hosts, u.Scheme+"://"+strings.ToLower(u.Host))
		}
	}
	slices.Sort(hosts)
	pictures := "'none'"
	if hosts = slices.Compact(hosts); len(hosts) > 0 {
		pictures = strings.Join(hosts, " ")
	}
	return "default-src 'none'; style-src " + hashSource(g.style) + "; img-src " + pictures + "; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
}

// plainHost refuses what could end the source list of a policy.
func plainHost(host string) bool {
	return host != "" && strings.Trim(strings.ToLower(host), "abcdefghijklmnopqrstuvwxyz0123456789.-_:[]") == ""
}

// initialOf stands where there is no picture.
func initialOf(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return "•"
}
