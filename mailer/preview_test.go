package mailer_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer"
)

func (w *world) preview(id string, spec mailer.CampaignSpec, contact int64) []mailer.Previewed {
	w.tb.Helper()
	return must(w.e.Preview(context.Background(), mailer.PreviewOptions{Campaign: id, Spec: spec, Segments: w.file(), ContactID: contact}, w.now))(w.tb)
}

// rows are how many there are of whatever a preview might write.
func (w *world) rows() map[string]int {
	w.tb.Helper()
	out := map[string]int{"free": w.count("SELECT COUNT(*) FROM coupons WHERE state='free'")}
	for _, table := range []string{
		"sends", "send_log", "enrolments", "holdouts", "suppressions", "consents", "provider_events", "mail_events", "campaigns", "campaign_defs", "campaign_counts", "campaign_days", "shop_tasks", "hints",
	} {
		out[table] = w.count("SELECT COUNT(*) FROM " + table)
	}
	return out
}

// unsigned is a text without what is signed in it.
func unsigned(s string) string {
	return regexp.MustCompile(`/([ulpcs])/[a-z]1\.[\w.-]+`).ReplaceAllString(s, "/$1/")
}

func TestAPreviewIsTheMailThatTheGateSends(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		spec := cartCampaign()
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "c1")
		draft := w.preview(cartMails, spec, zoe)
		if len(draft) != 1 || draft[0].State != mailer.CampaignDraft {
			t.Fatalf("before it is deployed: %+v", draft)
		}
		w.arm(cartMails, spec)
		w.enter(zoe, idleCart, w.now)
		before := w.rows()
		p := w.preview(cartMails, spec, zoe)[0]
		if diff := cmp.Diff(before, w.rows()); diff != "" {
			t.Errorf("it wrote something: %s", diff)
		}
		if p.State != mailer.CampaignArmed || p.Failed != nil || p.Gate.State != mailer.Handing || p.Locale != "fr" {
			t.Errorf("%s %s %s %v", p.State, p.Locale, p.Gate.Reason, p.Failed)
		}
		w.expectMails(0)
		w.run()
		w.expectMails(1)
		sent := w.out.got()[0]
		for what, pair := range map[string][2]string{
			"subject": {p.Mail.Subject, sent.Subject}, "html": {p.Mail.HTML, sent.HTML}, "text": {p.Mail.Text, sent.Text}, "to": {p.Mail.ToEmail, sent.ToEmail},
			"from": {p.Mail.FromEmail, sent.FromEmail}, "unsubscribe": {p.Mail.Headers["List-Unsubscribe"], sent.Headers["List-Unsubscribe"]},
		} {
			if diff := cmp.Diff(unsigned(pair[1]), unsigned(pair[0])); diff != "" || pair[0] == "" {
				t.Errorf("%s: %s", what, diff)
			}
		}
		if p.Mail.Preheader() == "" || len(p.Mail.Links(w.options.Keys)) < 2 {
			t.Errorf("preheader %q, links %v", p.Mail.Preheader(), p.Mail.Links(w.options.Keys))
		}
	})
}

func TestAPreviewTakesNoCoupon(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		w.texting(showCode)
		w.arm("gift", couponCampaign())
		w.importCodes("summer", "10 %", "ONLY")
		zoe := w.contact("zoe@example.com")
		for range 2 { // before and after it was given hers
			all := w.preview("gift", couponCampaign(), zoe)
			if len(all) != 2 {
				t.Fatalf("%d mails", len(all))
			}
			for _, p := range all {
				if !p.Sample || !strings.Contains(p.Mail.Text, mailer.PlaceholderCode+" 10 %") || strings.Contains(p.Mail.Text, "ONLY") {
					t.Errorf("%v %s", p.Sample, p.Mail.Text)
				}
			}
			w.enter(zoe, anybody, w.now)
			w.run()
		}
		if got := w.saidTo("zoe@example.com"); len(got) != 1 || got[0] != "ONLY 10 %" {
			t.Errorf("%v", got)
		}
	})
}

func TestAPreviewSaysWhatTheGateWould(t *testing.T) {
	w := newWorld(t, servers.Open(t, store.SQLite, store.Options{}))
	stranger := w.stranger("inconnue@example.com")
	p := w.preview("plain", plainCampaign(), stranger)[0]
	if p.Gate.State != mailer.Refused || p.Mail.HTML == "" {
		t.Errorf("%s, %d bytes", p.Gate.State, len(p.Mail.HTML))
	}
	var stops []string
	for _, c := range p.Gate.Checks {
		if c.Verdict == mailer.CheckStops {
			stops = append(stops, c.Check)
		}
	}
	if diff := cmp.Diff([]string{"eligible", "consent"}, stops); diff != "" {
		t.Error(diff)
	}
	if _, err := w.e.Preview(t.Context(), mailer.PreviewOptions{Campaign: "plain", Spec: plainCampaign(), Segments: w.file(), ContactID: 42}, w.now); err == nil {
		t.Error("a mail for nobody")
	}
	english := must(w.e.Preview(t.Context(), mailer.PreviewOptions{Campaign: "plain", Spec: plainCampaign(), Segments: w.file(), ContactID: stranger, Locale: "en-GB"}, w.now))(t)[0]
	if english.Locale != "en" || english.Mail.Subject == p.Mail.Subject {
		t.Errorf("%s: %s", english.Locale, english.Mail.Subject)
	}
}

func TestWhatAPreviewIsAboutIsTheNewest(t *testing.T) {
	w := newWorld(t, servers.Open(t, store.SQLite, store.Options{}))
	zoe := w.contact("zoe@example.com")
	w.order(zoe, w.shop, "7", crm.StateAccepted, w.now.Add(-48*time.Hour))
	w.order(zoe, w.shop, "8", crm.StateAccepted, w.now.Add(-24*time.Hour))
	w.order(zoe, w.shop, "9", crm.StateFailed, w.now.Add(-time.Hour))
	w.texting("{{with .Order}}{{.Number}}{{end}}")
	spec := mailer.CampaignSpec{Trigger: mailer.TriggerSpec{Order: "placed"}, Steps: plainCampaign().Steps}
	if p := w.preview("thanks", spec, zoe)[0]; !strings.Contains(p.Mail.Text, "fr\n8") {
		t.Errorf("it is about %q", p.Mail.Text)
	}
}

// Whoever gets a test mail may do with it what they like: nothing happens to the contact.
func TestATestMailActsForNobody(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		zoe := w.contact("zoe@example.com")
		w.cart(zoe, "c1")
		w.arm(cartMails, cartCampaign())
		w.enter(zoe, idleCart, w.now)
		p := w.preview(cartMails, cartCampaign(), zoe)[0]
		m := must(p.TestMail("moi@agence.example"))(t)
		before := w.rows()
		if _, err := mailer.SendTest(t.Context(), w.out, m); err != nil {
			t.Fatal(err)
		}
		got := w.out.got()
		if len(got) != 1 || got[0].ToEmail != "moi@agence.example" || got[0].ToName != "" || got[0].Subject != "[Test] "+p.Mail.Subject || got[0].Campaign == cartMails {
			t.Fatalf("%+v", got)
		}
		token := strings.Trim(m.Headers["List-Unsubscribe"], "<>")
		token = token[strings.Index(token, "/u/")+3:]
		if done, err := mailer.Unsubscribe(t.Context(), w.m, w.options.Keys, token, "one-click", crm.At(w.now)); err != nil || done.ContactID == zoe {
			t.Errorf("%+v %v", done, err)
		}
		clicks := 0
		for _, found := range regexp.MustCompile(`/c/(c1\.[\w.-]+)`).FindAllStringSubmatch(m.HTML, -1) {
			click := must(w.options.Keys.Click(found[1]))(t)
			if err := mailer.RecordClick(t.Context(), w.m, click, mailer.Visit{UserAgent: "a browser"}, crm.At(w.now)); err != nil {
				t.Error(err)
			}
			clicks++
		}
		for _, found := range regexp.MustCompile(`/p/(p1\.[\w.-]+)`).FindAllStringSubmatch(m.HTML, -1) {
			page, err := mailer.SavePreferences(t.Context(), w.m, w.options.Keys, found[1], mailer.Choices{Topics: map[string]bool{"marketing": false}, Hour: -1}, mailer.Proof{}, crm.At(w.now))
			if err != nil || !page.Expired {
				t.Errorf("%+v %v", page, err)
			}
			clicks++
		}
		if clicks < 2 {
			t.Errorf("%d links: nothing was tried", clicks)
		}
		if regexp.MustCompile(`^[0-9a-z]{1,13}$`).MatchString(m.SendID) {
			t.Errorf("the id %s looks like one of the ledger", m.SendID)
		}
		if diff := cmp.Diff(before, w.rows()); diff != "" {
			t.Errorf("something happened: %s", diff)
		}
		w.run() // the contact's own mail leaves as if nothing had been
		w.expect(zoe, mailer.Accepted, mailer.NoReason)
	})
}

func TestWhatAProviderSaysOfATestMailIsASentence(t *testing.T) {
	t.Parallel()
	p := mailer.Previewed{Step: "first", Mail: mailer.Mail{Subject: "Bonjour", HTML: "<p>Bonjour</p>"}}
	m := must(p.TestMail("moi@agence.example"))(t)
	for name, c := range map[string]struct {
		said error
		want string
	}{
		"refused":   {fault.New(fault.Reject, "handing a mail over", errors.New("550 moi@agence.example is unknown")), "sending the test mail: handing a mail over: 550 …@… is unknown. Nothing was sent"},
		"key":       {&fault.Error{Class: fault.Operator, Op: "asking", Err: errors.New("401"), Hint: "Give a key"}, "sending the test mail: asking: 401. Give a key"},
		"busy":      {&fault.Error{Class: fault.Throttled, Op: "asking", After: 5 * time.Second, Err: errors.New("429")}, "sending the test mail: asking: 429. The provider has too much to do; try again in 5s"},
		"no answer": {errors.New("reset"), "sending the test mail: reset. It may have been sent; look whether it arrives before you try again"},
	} {
		_, err := mailer.SendTest(t.Context(), &outside{answer: func(mailer.Mail) error { return c.said }}, m)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := p.TestMail("Moi <moi@agence.example>"); err == nil || strings.Contains(err.Error(), "moi") {
		t.Error(err)
	}
	m.SendID = mailer.SendID(77)
	if _, err := mailer.SendTest(t.Context(), &outside{}, m); err == nil {
		t.Error("a mail of the ledger was sent as a test")
	}
}
