package mailer

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/internal/crm"
)

// ByHead as ProviderEvent.Reason says that a link was asked for with HEAD, which no person does.
const ByHead = "head"

// Why an opening or a click is a machine's: a closed set; "" is a person's. The first ones are seen in the event alone and
// stand for good; early and burst depend on what else is known of the mail, and are judged again with each event of it.
const (
	whyPerson   = ""
	whyProvider = "provider" // the provider says so
	whyHead     = ByHead
	whyProxy    = "proxy"    // a mailbox provider fetches pictures for its users, whether they look or not
	whyAgent    = "agent"    // a program that calls itself one
	whyNoAgent  = "no_agent" // a program that does not say what it is
	whyEarly    = "early"    // before anybody could have read the mail
	whyBurst    = "burst"    // several links of the mail at once
)

// machineSigns are the verdicts in the order of the docs, with a sentence each.
func machineSigns() [][2]string {
	return [][2]string{
		{whyProvider, "the provider says that a machine did it"},
		{whyHead, "the link was only asked after (HEAD)"},
		{whyProxy, "a mailbox provider's proxy fetched the pictures"},
		{whyAgent, "a program did it that calls itself a scanner, a robot or a library"},
		{whyNoAgent, "whatever it was does not say what it is; browsers do"},
		{whyEarly, "it came before, or within 5 seconds after, the delivery"},
		{whyBurst, "several links of the mail were followed within seconds"},
	}
}

const (
	tooSoon = 5 * time.Second // after the delivery
	// A person opens two links at once now and then; nobody follows three in ten seconds.
	burstOfMany, many = 10 * time.Second, 3
	burstOfTwo, two   = 2 * time.Second, 2
)

// act is one opening or click as it is judged.
type act struct {
	kind string // EventOpened or EventClicked
	at   crm.Instant
	url  string
	own  string // the verdict that stands for good; "" when the event alone says nothing
}

// ownSigns is what an event alone says of who did it.
func ownSigns(kind, source, agent, reason string, machine bool) string {
	agent = strings.TrimSpace(agent)
	switch {
	case machine && reason == ByHead:
		return whyHead
	case machine:
		return whyProvider
	case kind != EventOpened && kind != EventClicked:
		return whyPerson
	case agent == "" && source == SourceOwn:
		return whyNoAgent
	case agent == "":
		return whyPerson // not every provider passes it on
	case proxied(agent):
		return whyProxy
	case scanner(agent):
		return whyAgent
	}
	return whyPerson
}

// proxied knows the fetchers of mailbox providers: Apple's says "Mozilla/5.0" and not a word more.
func proxied(agent string) bool {
	if strings.EqualFold(agent, "Mozilla/5.0") {
		return true
	}
	return containsFold(agent, "GoogleImageProxy", "YahooMailProxy", "OutlookImageProxy", "EdgeImageProxy", "ZohoMailProxy", "DuckDuckGo-Email", "Mail.Ru-ImageProxy")
}

// scanner knows what calls itself no browser: robots, libraries, previews, and the tools of mail gateways.
func scanner(agent string) bool {
	return containsFold(agent,
		"bot/", "bot;", "bot)", "robot", "crawler", "spider", "scanner", "urlcheck", "linkcheck", "preview", "headless", "phantomjs", "selenium", "puppeteer",
		"python", "curl/", "wget/", "go-http-client", "okhttp", "libwww", "java/", "apache-httpclient", "httpclient", "axios/", "node-fetch", "guzzle", "ruby",
		"barracuda", "proofpoint", "mimecast", "safelinks", "forcepoint", "fortiguard", "trendmicro", "symantec", "messagelabs", "bitdefender", "sophos",
		"cloudmark", "cyren", "mailguard", "virustotal", "zscaler", "amazon-route53", "amazonaws", "google-read-aloud", "googleother", "facebookexternalhit",
		"whatsapp", "skypeuripreview", "ms-office", "microsoft office existence", "bingpreview")
}

func containsFold(s string, parts ...string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, strings.ToLower(p)) })
}

// whoDid says of each opening and click of one mail who did it, "" for a person. handed is when the mail was handed over,
// delivered when it was delivered, 0 while that is not known. The order of acts does not matter; earlier verdicts are no
// input, so that the same events give the same verdicts whenever they came.
func whoDid(handed, delivered crm.Instant, acts []act) []string {
	verdicts := make([]string, len(acts))
	reached := max(handed, delivered)
	crowded := make([]bool, len(acts))
	crowd(acts, crowded, burstOfMany, many)
	crowd(acts, crowded, burstOfTwo, two)
	for i, a := range acts {
		switch {
		case a.own != whyPerson:
			verdicts[i] = a.own
		case reached > 0 && a.at <= reached.Add(tooSoon):
			verdicts[i] = whyEarly
		case crowded[i]:
			verdicts[i] = whyBurst
		}
	}
	return verdicts
}

// crowd marks the clicks that lie within some window of the given width in which at least so many different links were
// followed, by whoever it was.
func crowd(acts []act, crowded []bool, width time.Duration, links int) {
	var clicks []int
	for i := range acts {
		if acts[i].kind == EventClicked {
			clicks = append(clicks, i)
		}
	}
	slices.SortFunc(clicks, func(a, b int) int { return cmp.Compare(acts[a].at, acts[b].at) })
	for from := range clicks { // a window that holds a click can be moved until it begins at one
		seen, to := map[string]bool{}, from
		for ; to < len(clicks) && acts[clicks[to]].at <= acts[clicks[from]].at.Add(width); to++ {
			seen[acts[clicks[to]].url] = true
		}
		if len(seen) < links {
			continue
		}
		for _, i := range clicks[from:to] {
			crowded[i] = true
		}
	}
}
