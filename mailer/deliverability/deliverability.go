// Package deliverability reads what the world can read of a sender: the SPF, DKIM and DMARC records of its domain, and
// judges them with how its mails fared. It sends nothing.
package deliverability

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Standing is how a check turned out.
type Standing string

const (
	Good    Standing = "good"
	Warning Standing = "warning" // it works, less well than it could
	Bad     Standing = "bad"     // mails are refused or land in spam for it
	Unknown Standing = "unknown" // it could not be found out
)

// Finding is one check: a sentence that says what was found, and one that says what to do about it.
type Finding struct {
	Check    string   `json:"check"` // spf, dkim, dmarc, mx, from, one_click, bounces, complaints, events
	Standing Standing `json:"standing"`
	Says     string   `json:"says"`
	Do       string   `json:"do,omitempty"`
	Record   string   `json:"record,omitempty"` // the DNS record itself
}

// Sender is whose standing is asked about.
type Sender struct {
	From      string   // address that mails come from
	ReplyTo   string   // "" = From
	Via       string   // provider: sendgrid, smtp, outbox
	Selectors []string // DKIM selectors to look for; none: those that Via is known to use
}

// DNS asks a resolver. Answers that do not exist are told from a network that is not there.
type DNS struct{ resolver *net.Resolver }

// NewDNS makes one that asks server ("127.0.0.1:53"); "" asks the machine's own.
func NewDNS(server string) DNS {
	r := &net.Resolver{PreferGo: true}
	if server != "" {
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: lookupTimeout}).DialContext(ctx, network, server)
		}
	}
	return DNS{resolver: r}
}

const lookupTimeout = 5 * time.Second

// errNoNetwork says that nobody could be asked.
var errNoNetwork = errors.New("the name server did not answer")

// texts gives the TXT records of a name, each joined; none is no error.
func (d DNS) texts(ctx context.Context, name string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	all, err := d.resolver.LookupTXT(ctx, rooted(name))
	return all, absent(err)
}

func (d DNS) mailServers(ctx context.Context, name string) (hosts []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	all, err := d.resolver.LookupMX(ctx, rooted(name))
	for _, mx := range all {
		hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
	}
	return hosts, absent(err)
}

// rooted keeps the machine's search list out of it.
func rooted(name string) string { return strings.TrimSuffix(name, ".") + "." }

// absent makes "there is no such name" no error, and everything else one.
func absent(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return nil
	}
	return errNoNetwork
}

// Check asks DNS about a sender. It never fails: what cannot be found out is a finding, too.
func Check(ctx context.Context, d DNS, s Sender) []Finding {
	domain, err := domainOf(s.From)
	if err != nil {
		return []Finding{{Check: "from", Standing: Bad, Says: "The sender's address is none.", Do: "Set from: in the audience of relance.yaml."}}
	}
	out := []Finding{fromFinding(domain)}
	out = append(out, d.spf(ctx, domain, s.Via))
	out = append(out, d.dkim(ctx, domain, s))
	out = append(out, d.dmarc(ctx, domain))
	answers := domain
	if s.ReplyTo != "" {
		if answers, err = domainOf(s.ReplyTo); err != nil {
			return append(out, Finding{Check: "mx", Standing: Bad, Says: "reply_to is no address.", Do: "Correct reply_to: in the audience of relance.yaml."})
		}
	}
	return append(out, d.mx(ctx, answers))
}

// domainOf is the domain of an address as DNS writes it.
func domainOf(address string) (string, error) {
	i := strings.LastIndexByte(address, '@')
	if i < 1 {
		return "", errors.New("no address")
	}
	return idna.Lookup.ToASCII(strings.ToLower(strings.TrimSuffix(address[i+1:], ".")))
}

// registered is the domain that was registered: shop.example.co.uk → example.co.uk.
func registered(domain string) string {
	if org, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return org
	}
	return domain
}

// freeMail are domains at which anybody has an address: their owners tell the world that mails from elsewhere are forged.
func freeMail(domain string) bool {
	switch registered(domain) {
	case "gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "hotmail.fr", "live.com", "live.fr", "msn.com", "yahoo.com", "yahoo.fr", "ymail.com",
		"aol.com", "icloud.com", "me.com", "gmx.com", "gmx.net", "gmx.de", "web.de", "orange.fr", "wanadoo.fr", "free.fr", "sfr.fr", "laposte.net", "bbox.fr",
		"proton.me", "protonmail.com":
		return true
	}
	return false
}

func fromFinding(domain string) Finding {
	if freeMail(domain) {
		return Finding{
			Check: "from", Standing: Bad, Says: fmt.Sprintf("Mails come from an address at %s, where only its own servers may send.", domain),
			Do: "Send from an address of a domain that belongs to the shop.",
		}
	}
	return Finding{Check: "from", Standing: Good, Says: fmt.Sprintf("Mails come from %s.", domain)}
}

func (d DNS) mx(ctx context.Context, domain string) Finding {
	hosts, err := d.mailServers(ctx, domain)
	switch {
	case err != nil:
		return unknown("mx", domain, err)
	case len(hosts) == 0:
		return Finding{
			Check: "mx", Standing: Bad, Says: fmt.Sprintf("%s takes no mail: answers and complaints of customers are lost, and some servers refuse such senders.", domain),
			Do: "Give the domain a mail server (MX record), or set reply_to to an address that is read.",
		}
	case len(hosts) == 1 && hosts[0] == "":
		return Finding{Check: "mx", Standing: Bad, Says: fmt.Sprintf("%s says that it takes no mail (null MX).", domain), Do: "Set reply_to to an address that is read."}
	}
	return Finding{Check: "mx", Standing: Good, Says: fmt.Sprintf("Answers to %s arrive at %s.", domain, hosts[0])}
}

// unknown is a finding for a question that nobody answered.
func unknown(check, name string, err error) Finding {
	return Finding{
		Check: check, Standing: Unknown, Says: fmt.Sprintf("Asking DNS for %s: %v.", name, err),
		Do: "Check the network of this machine, or name a resolver: --resolver 9.9.9.9:53",
	}
}
