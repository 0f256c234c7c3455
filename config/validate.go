package config

import (
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/spelling"
	"github.com/relance/relance/mailer"
)

// Defaults of relance.yaml.
const (
	DefaultDatabase = "sqlite:relance.db"
	DefaultPublic   = "127.0.0.1:8480"
	DefaultAdmin    = "127.0.0.1:8484"
	DefaultAudience = "default"
	defaultKeys     = "keys.json"
)

// The values of provider.
const (
	providerSendGrid = "sendgrid"
	providerSMTP     = "smtp"
	providerOutbox   = "outbox"
)

// validate checks what was decoded, fills defaults in, and gives the Config; it is of use only if nothing was reported.
func (l *loader) validate(f *files) *Config {
	c := &Config{
		Dir: l.dir, Database: l.database(f), PublicURL: l.publicURL(f), TrustedProxies: l.proxies(f),
		Listen: l.listen(f), Log: l.log(f), Keys: Keys{File: l.path(or(f.main.Keys.File, defaultKeys))},
		Retention: l.retention(f), Audiences: l.audiences(f), Shops: map[string]Shop{}, Segments: f.segments, Campaigns: f.campaigns,
	}
	for _, name := range slices.Sorted(maps.Keys(f.shops)) {
		c.Shops[name] = l.shop(f, c, name)
	}
	l.domain(f, c)
	return c
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func (l *loader) database(f *files) string {
	dsn := or(f.main.Database, DefaultDatabase)
	engine, rest, _ := strings.Cut(dsn, ":")
	switch {
	case engine == "sqlite" && rest != "" && !strings.Contains(rest, ":memory:"):
		return "sqlite:" + l.path(rest)
	case engine == "mysql" && strings.Contains(rest, "/"):
		return dsn
	}
	l.problem(f.mainDoc, "$.database", "the database is neither a SQLite file nor a MySQL address", `"sqlite:relance.db" or "mysql:user:password@tcp(host:3306)/relance"`)
	return dsn
}

func (l *loader) publicURL(f *files) string {
	raw := f.main.PublicURL
	if raw == "" {
		return ""
	}
	if why := badURL(raw); why != "" {
		l.problem(f.mainDoc, "$.public_url", "public_url "+why, "an https address such as https://relance.boutique.example")
	}
	return strings.TrimRight(raw, "/")
}

// badURL says what is wrong with an address that must be https (plain http only on this machine), or "".
func badURL(raw string) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return "is no address"
	case u.User != nil:
		return "must not contain a user or password"
	case u.RawQuery != "" || u.Fragment != "":
		return "must not contain ? or #"
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "is not https"
	}
	return ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (l *loader) proxies(f *files) []netip.Prefix {
	var out []netip.Prefix
	for i, raw := range f.main.TrustedProxies {
		if ip, err := netip.ParseAddr(raw); err == nil {
			out = append(out, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(raw)
		if err != nil {
			l.problem(f.mainDoc, fmt.Sprintf("$.trusted_proxies[%d]", i), "this is no address and no network", "an address such as 10.0.0.1 or a network such as 10.0.0.0/8")
			continue
		}
		out = append(out, p)
	}
	return out
}

func (l *loader) listen(f *files) Listen {
	out := Listen{Public: or(f.main.Listen.Public, DefaultPublic), Admin: or(f.main.Listen.Admin, DefaultAdmin)}
	for key, addr := range map[string]string{"public": out.Public, "admin": out.Admin} {
		host, port, err := net.SplitHostPort(addr)
		if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
			l.problem(f.mainDoc, "$.listen."+key, "this is no address to listen on", "host:port, for example 127.0.0.1:8480")
		} else if key == "admin" && !isLoopback(host) {
			l.problem(f.mainDoc, "$.listen.admin", "the admin page would be open to the network, and it has no password yet",
				"127.0.0.1 and a port; reach it from elsewhere through an SSH tunnel or a proxy that asks for a password")
		}
	}
	return out
}

func (l *loader) retention(f *files) Retention {
	raw := f.main.Retention.Events
	if raw == "" {
		return Retention{}
	}
	kept, err := crm.ParseSpan(raw)
	if err != nil || kept < mailer.LeastEventsKept {
		l.problem(f.mainDoc, "$.retention.events", fmt.Sprintf("events cannot be kept for %q", raw), "a length of time of 3d at least, such as 30d: a provider repeats events for days")
	}
	return Retention{Events: kept}
}

func (l *loader) log(f *files) Log {
	out := Log{Format: or(f.main.Log.Format, "json"), Level: or(f.main.Log.Level, "info")}
	l.oneOf(f.mainDoc, "$.log.format", out.Format, "json", "console")
	l.oneOf(f.mainDoc, "$.log.level", out.Level, "debug", "info", "warn", "error")
	return out
}

func (l *loader) oneOf(doc *document, path, value string, allowed ...string) bool {
	if slices.Contains(allowed, value) {
		return true
	}
	want := "one of " + strings.Join(allowed, ", ")
	if near := spelling.Closest(value, allowed); near != "" {
		want = "did you mean " + near + "?"
	}
	key := path[strings.LastIndexByte(path, '.')+1:]
	l.problem(doc, path, fmt.Sprintf("%s cannot be %q", key, value), want)
	return false
}

func (l *loader) audiences(f *files) map[string]Audience {
	if len(f.main.Audiences) == 0 { // one shop, nothing to send yet: mails are kept, none leaves
		return map[string]Audience{DefaultAudience: l.audience(f, DefaultAudience, Audience{})}
	}
	out := map[string]Audience{}
	for _, name := range slices.Sorted(maps.Keys(f.main.Audiences)) {
		l.name(f.mainDoc, "$.audiences."+name, "an audience", name)
		out[name] = l.audience(f, name, f.main.Audiences[name])
	}
	return out
}

func (l *loader) audience(f *files, name string, a Audience) Audience {
	path := "$.audiences." + name
	a.Title, a.Provider = or(a.Title, name), or(a.Provider, providerOutbox)
	a.Outbox.Dir = l.path(or(a.Outbox.Dir, filepath.Join("outbox", name)))
	l.email(f.mainDoc, path+".from", a.From)
	l.email(f.mainDoc, path+".reply_to", a.ReplyTo)
	if _, err := mailer.ParseCap(a.Cap); err != nil {
		l.problem(f.mainDoc, path+".cap", err.Error(), `a number of mails and a length of time, such as "2 per 7d"`)
	}
	if _, err := a.Attribution.Windows(); err != nil {
		l.problem(f.mainDoc, path+".attribution", err.Error(), "lengths of time, such as {click: 5d, lift: 14d}")
	}
	if !l.oneOf(f.mainDoc, path+".provider", a.Provider, providerSendGrid, providerSMTP, providerOutbox) || a.Provider == providerOutbox {
		return a
	}
	if a.From == "" {
		l.problem(f.mainDoc, path, "this audience sends mails and has no from address", "from: an address whose domain is authenticated at the provider")
	}
	if a.Provider == providerSMTP {
		l.problems(f.mainDoc, path+".smtp", a.SMTP.Validate())
	} else {
		l.problems(f.mainDoc, path+".sendgrid", a.SendGrid.Validate())
	}
	return a
}

func (l *loader) email(doc *document, path, addr string) {
	if addr == "" {
		return
	}
	if a, err := mail.ParseAddress(addr); err != nil || a.Address != addr || strings.ContainsAny(addr, "\r\n") {
		l.problem(doc, path, path[strings.LastIndexByte(path, '.')+1:]+" is no e-mail address", "one bare address; the name goes into from_name")
	}
}

func (l *loader) name(doc *document, path, what, name string) {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`).MatchString(name) {
		l.problem(doc, path, fmt.Sprintf("%q cannot be the name of %s", name, what), "small letters, digits, - and _, at most 40; it begins with a letter or digit")
	}
}
