package mailer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

// did is an opening (no link) or click so many seconds after the mail was handed over.
type did struct {
	after float64
	link  string
	own   string // what the event alone shows
}

func verdicts(delivered float64, dids []did) []string {
	handed := crm.At(noon())
	at := func(after float64) crm.Instant { return handed.Add(time.Duration(after * float64(time.Second))) }
	var acts []mailer.Act
	for _, d := range dids {
		acts = append(acts, mailer.NewAct(at(d.after), d.link, d.own))
	}
	reached := crm.Instant(0)
	if delivered >= 0 {
		reached = at(delivered)
	}
	return mailer.WhoDid(handed, reached, acts)
}

func TestB44_WhoOpenedAndClicked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		delivered float64 // -1: not known
		dids      []did
		want      []string
	}{
		"a person reads in the evening and follows a link":    {2, []did{{20_000, "", ""}, {20_030, "/a", ""}}, []string{"", ""}},
		"a person opens two products in tabs":                 {2, []did{{900, "/a", ""}, {903.5, "/b", ""}}, []string{"", ""}},
		"a person clicks one link twice":                      {2, []did{{900, "/a", ""}, {900.4, "/a", ""}}, []string{"", ""}},
		"a person looks at five products in a quarter":        {2, []did{{900, "/a", ""}, {960, "/b", ""}, {1100, "/c", ""}, {1300, "/d", ""}, {1700, "/e", ""}}, []string{"", "", "", "", ""}},
		"a gateway follows all links while it takes the mail": {9, []did{{3, "/a", ""}, {3.1, "/b", ""}, {3.2, "/c", ""}}, []string{"early", "early", "early"}},
		"a gateway looks at one link as the mail arrives":     {2, []did{{4, "/a", ""}}, []string{"early"}},
		"a scanner opens the mail at once":                    {2, []did{{3, "", ""}}, []string{"early"}},
		"nobody says when it was delivered":                   {-1, []did{{4, "/a", ""}, {30, "/a", ""}}, []string{"early", ""}},
		"a scanner follows all links an hour later":           {2, []did{{3600, "/a", ""}, {3600.3, "/b", ""}, {3600.9, "/c", ""}, {3601, "/d", ""}}, []string{"burst", "burst", "burst", "burst"}},
		"a slow scanner, a link every four seconds":           {2, []did{{3600, "/a", ""}, {3604, "/b", ""}, {3608, "/c", ""}, {3612, "/d", ""}}, []string{"burst", "burst", "burst", "burst"}},
		"two links in a breath":                               {2, []did{{3600, "/a", ""}, {3601.5, "/b", ""}}, []string{"burst", "burst"}},
		"a scanner, and the person next day":                  {2, []did{{3600, "/a", ""}, {3600.5, "/b", ""}, {90_000, "/b", ""}}, []string{"burst", "burst", ""}},
		"what shows itself also crowds the others":            {2, []did{{3600, "/a", "agent"}, {3600.5, "/b", ""}}, []string{"agent", "burst"}},
		"openings crowd nobody":                               {2, []did{{900, "", ""}, {900, "", "proxy"}, {901, "/a", ""}}, []string{"", "proxy", ""}},
	} {
		if diff := cmp.Diff(c.want, verdicts(c.delivered, c.dids)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// However events arrive, and however often the verdicts are drawn meanwhile, the end is the same.
func TestB44_VerdictsDoNotDependOnTheOrderOfEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.Custom(func(t *rapid.T) did {
			return did{
				after: float64(rapid.IntRange(0, 60).Draw(t, "after")) / 2, link: rapid.SampledFrom([]string{"", "/a", "/b", "/c"}).Draw(t, "link"),
				own: rapid.SampledFrom([]string{"", "", "", "agent"}).Draw(t, "own"),
			}
		})
		dids := rapid.SliceOfN(one, 1, 12).Draw(t, "acts")
		want := map[did]string{}
		for i, v := range verdicts(3, dids) {
			want[dids[i]] = v
		}
		mixed := rapid.Permutation(dids).Draw(t, "order")
		for i, v := range verdicts(3, mixed) {
			if v != want[mixed[i]] {
				t.Fatalf("%+v is %q and %q", mixed[i], v, want[mixed[i]])
			}
		}
		// More events never make a machine's act a person's.
		for i, v := range verdicts(3, dids[:1+len(dids)/2]) {
			if v != "" && want[dids[i]] == "" {
				t.Fatalf("%+v was %q and is a person's", dids[i], v)
			}
		}
	})
}

func TestB44_WhatAnEventShowsByItself(t *testing.T) {
	t.Parallel()
	const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
	for _, c := range []struct {
		kind, source, agent, reason string
		machine                     bool
		want                        string
	}{
		{"opened", "sendgrid", chrome, "", false, ""},
		{"opened", "sendgrid", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148", "", false, ""},
		{"opened", "sendgrid", "Mozilla/5.0", "", false, "proxy"},
		{"opened", "sendgrid", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "", false, "proxy"},
		{"opened", "sendgrid", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "", false, "proxy"},
		{"opened", "sendgrid", chrome, "", true, "provider"},
		{"opened", "sendgrid", "", "", false, ""},
		{"clicked", "relance", "", "", false, "no_agent"},
		{"clicked", "relance", chrome, "head", true, "head"},
		{"clicked", "relance", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "", false, "agent"},
		{"clicked", "relance", "python-requests/2.32.3", "", false, "agent"},
		{"clicked", "relance", "curl/8.9.1", "", false, "agent"},
		{"clicked", "relance", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/131.0.0.0 Safari/537.36", "", false, "agent"},
		{"clicked", "relance", "Mozilla/5.0 (compatible; Barracuda Sentinel (EE))", "", false, "agent"},
		{"clicked", "relance", "WhatsApp/2.23.20.0", "", false, "agent"},
		{"clicked", "relance", "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36", "", false, ""},
		{"delivered", "sendgrid", "", "", false, ""},
	} {
		if got := mailer.OwnSigns(c.kind, c.source, c.agent, c.reason, c.machine); got != c.want {
			t.Errorf("%s by %q: %q, want %q", c.kind, c.agent, got, c.want)
		}
	}
	if !slices.Contains(mailer.SignNames(), "burst") {
		t.Error("the list of signs is not whole")
	}
}

func TestUnknownMailsWereNeverSentOnlyIfEventsOfLaterOnesCame(t *testing.T) {
	t.Parallel()
	handed := noon()
	hour := func(n int, newest time.Duration) mailer.FlowHour {
		return mailer.FlowHour{HourAt: crm.At(handed.Add(time.Duration(n) * time.Hour)), NewestHanded: crm.At(handed.Add(newest))}
	}
	for name, c := range map[string]struct {
		hours []mailer.FlowHour
		want  bool
	}{
		"nothing came":                                                 {nil, false},
		"events of earlier mails only":                                 {[]mailer.FlowHour{hour(1, -time.Hour), hour(40, -time.Hour)}, false},
		"later mails, for a day and more":                              {[]mailer.FlowHour{hour(1, time.Minute), hour(20, time.Hour), hour(28, time.Hour)}, true},
		"later mails, not for long enough":                             {[]mailer.FlowHour{hour(1, time.Minute), hour(27, time.Hour)}, false},
		"one hour of events says nothing of the next":                  {[]mailer.FlowHour{hour(2, time.Minute)}, false},
		"the webhook was down while the provider repeated this mail's": {[]mailer.FlowHour{hour(23, time.Hour), hour(60, time.Hour)}, false},
	} {
		if got := mailer.NeverSentBy(c.hours, crm.At(handed)); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
