package deliverability

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// mostLookups is how many names a receiver looks up for one SPF check before it gives up (RFC 7208, 4.6.4).
const mostLookups = 10

// spf judges the record of the From domain. Providers send with a return path of their own subdomain, which passes SPF by
// itself and aligns with the domain; so a missing record here is a warning with them and bad with one's own server.
func (d DNS) spf(ctx context.Context, domain, via string) Finding {
	records, err := d.spfRecords(ctx, domain)
	switch {
	case err != nil:
		return unknown("spf", domain, err)
	case len(records) > 1:
		return Finding{
			Check: "spf", Standing: Bad, Record: strings.Join(records, " | "), Says: fmt.Sprintf("%s has %d SPF records; receivers then take none.", domain, len(records)),
			Do: "Merge them into one TXT record that begins with v=spf1.",
		}
	case len(records) == 0 && via == "smtp":
		return Finding{
			Check: "spf", Standing: Bad, Says: domain + " has no SPF record: nobody can tell whether your server may send for it.",
			Do: "Add a TXT record: v=spf1 ip4:<address of the mail server> -all",
		}
	case len(records) == 0:
		return Finding{
			Check: "spf", Standing: Warning, Says: domain + " has no SPF record. Mails by the provider pass with its own return path, if the domain is authenticated there.",
			Do: "Authenticate the domain at the provider; add a TXT record v=spf1 … -all for whoever else sends for it.",
		}
	}
	record := records[0]
	walk := spfWalk{dns: d, seen: map[string]bool{domain: true}}
	walk.follow(ctx, record)
	f := Finding{Check: "spf", Standing: Good, Record: record, Says: fmt.Sprintf("%s says who may send for it.", domain)}
	switch {
	case walk.err != nil:
		return unknown("spf", domain, walk.err)
	case walk.lookups > mostLookups:
		f.Standing, f.Says = Bad, fmt.Sprintf("The SPF record of %s takes %d lookups; receivers give up after %d and take it for broken.", domain, walk.lookups, mostLookups)
		f.Do = "Remove includes of services that no longer send."
	case slices.Contains(strings.Fields(record), "+all"), slices.Contains(strings.Fields(record), "all"):
		f.Standing, f.Says, f.Do = Bad, "The SPF record allows everybody to send (+all).", "End it with -all or ~all."
	case walk.broken != "":
		f.Standing, f.Says, f.Do = Bad, fmt.Sprintf("The SPF record includes %s, which has none; receivers take it for broken.", walk.broken), "Remove or correct that include."
	case !walk.ends:
		f.Standing, f.Says, f.Do = Warning, "The SPF record does not say what to think of other senders.", "End it with -all or ~all."
	}
	return f
}

func (d DNS) spfRecords(ctx context.Context, name string) (out []string, err error) {
	all, err := d.texts(ctx, name)
	for _, t := range all {
		if strings.EqualFold(t, "v=spf1") || len(t) > 7 && strings.EqualFold(t[:7], "v=spf1 ") {
			out = append(out, t)
		}
	}
	return out, err
}

// spfWalk counts the names that a receiver would look up.
type spfWalk struct {
	dns     DNS
	seen    map[string]bool
	lookups int
	ends    bool   // with an all or a redirect
	broken  string // an include without a record
	err     error
}

func (w *spfWalk) follow(ctx context.Context, record string) {
	for _, term := range strings.Fields(strings.ToLower(record))[1:] {
		if w.err != nil || w.lookups > mostLookups {
			return
		}
		term = strings.TrimLeft(term, "+-~?")
		name, value, _ := strings.Cut(term, ":")
		switch {
		case name == "all":
			w.ends = true
		case name == "include":
			w.include(ctx, value)
		case strings.HasPrefix(term, "redirect="):
			w.ends = true
			w.include(ctx, strings.TrimPrefix(term, "redirect="))
		case name == "a", name == "mx", name == "ptr", name == "exists", strings.HasPrefix(name, "a/"), strings.HasPrefix(name, "mx/"):
			w.lookups++
		}
	}
}

func (w *spfWalk) include(ctx context.Context, name string) {
	w.lookups++
	if w.seen[name] || strings.Contains(name, "%{") || w.lookups > mostLookups { // a macro depends on the mail
		return
	}
	w.seen[name] = true
	ends := w.ends
	records, err := w.dns.spfRecords(ctx, name)
	switch {
	case err != nil:
		w.err = err
	case len(records) != 1:
		w.broken = name
	default:
		w.follow(ctx, records[0])
	}
	w.ends = ends // the all of an include does not count for who includes it
}
