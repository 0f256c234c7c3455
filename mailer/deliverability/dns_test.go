package deliverability_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/relance/relance/mailer/deliverability"
)

// zone is what a name server of the test knows: "name TYPE" → records.
type zone map[string][]string

// serve answers questions about the zone on loopback until the test ends.
func serve(t *testing.T, z zone) deliverability.DNS {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := z.answer(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return deliverability.NewDNS(conn.LocalAddr().String())
}

func (z zone) answer(question []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(question)
	if err != nil {
		return nil
	}
	q, err := p.Question()
	if err != nil {
		return nil
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	known := false
	for k := range z {
		known = known || strings.HasPrefix(k, name+" ")
	}
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 60}
	for _, r := range z[name+" "+strings.TrimPrefix(q.Type.String(), "Type")] {
		switch q.Type {
		case dnsmessage.TypeTXT:
			var parts []string
			for len(r) > 255 {
				parts, r = append(parts, r[:255]), r[255:]
			}
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.TXTResource{TXT: append(parts, r)}})
		case dnsmessage.TypeMX:
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(r + ".")}})
		default:
		}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

// publicKey is the p= of a key of so many bits.
func publicKey(t *testing.T, bits int) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func good(t *testing.T) zone {
	t.Helper()
	return zone{
		"boutique.example TXT":               {"google-site-verification=abc", "v=spf1 include:sendgrid.example -all"},
		"sendgrid.example TXT":               {"v=spf1 ip4:192.0.2.0/24 -all"},
		"s1._domainkey.boutique.example TXT": {"k=rsa; t=s; p=" + publicKey(t, 2048)},
		"_dmarc.boutique.example TXT":        {"v=DMARC1; p=quarantine; rua=mailto:dmarc@boutique.example"},
		"boutique.example MX":                {"mx.boutique.example"},
	}
}

func sender() deliverability.Sender {
	return deliverability.Sender{From: "bonjour@boutique.example", Via: "sendgrid"}
}

func TestASoundSenderIsGoodThroughout(t *testing.T) {
	for _, f := range deliverability.Check(t.Context(), serve(t, good(t)), sender()) {
		if f.Standing != deliverability.Good || f.Says == "" || f.Do != "" {
			t.Errorf("%+v", f)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(z zone, s *deliverability.Sender)
		check  string
		want   deliverability.Standing
		word   string
	}{
		"no spf":         {func(z zone, _ *deliverability.Sender) { z["boutique.example TXT"] = nil }, "spf", deliverability.Warning, "no SPF record"},
		"no spf by smtp": {func(z zone, s *deliverability.Sender) { z["boutique.example TXT"] = nil; s.Via = "smtp" }, "spf", deliverability.Bad, "your server"},
		"two spf": {func(z zone, _ *deliverability.Sender) {
			z["boutique.example TXT"] = []string{"v=spf1 -all", "v=spf1 a -all"}
		}, "spf", deliverability.Bad, "2 SPF records"},
		"everybody": {func(z zone, _ *deliverability.Sender) { z["boutique.example TXT"] = []string{"v=spf1 +all"} }, "spf", deliverability.Bad, "everybody"},
		"no end":    {func(z zone, _ *deliverability.Sender) { z["boutique.example TXT"] = []string{"v=spf1 a mx"} }, "spf", deliverability.Warning, "other senders"},
		"broken": {func(z zone, _ *deliverability.Sender) {
			z["boutique.example TXT"] = []string{"v=spf1 include:gone.example -all"}
		}, "spf", deliverability.Bad, "gone.example"},
		"too many": {tooMany(), "spf", deliverability.Bad, "lookups"},
		"a circle": {func(z zone, _ *deliverability.Sender) {
			z["sendgrid.example TXT"] = []string{"v=spf1 include:boutique.example -all"}
		}, "spf", deliverability.Good, ""},
		"no dkim":    {func(z zone, _ *deliverability.Sender) { delete(z, "s1._domainkey.boutique.example TXT") }, "dkim", deliverability.Bad, "s1, s2"},
		"short dkim": {dkim(t, "k=rsa; p="+publicKey(t, 1024)), "dkim", deliverability.Warning, "1024 bits"},
		"revoked":    {dkim(t, "v=DKIM1; p="), "dkim", deliverability.Bad, "revoked"},
		"cut":        {dkim(t, "v=DKIM1; p="+publicKey(t, 2048)[:100]), "dkim", deliverability.Bad, "cannot be read"},
		"testing":    {dkim(t, "v=DKIM1; t=y; p="+publicKey(t, 2048)), "dkim", deliverability.Warning, "testing"},
		"no dmarc":   {func(z zone, _ *deliverability.Sender) { delete(z, "_dmarc.boutique.example TXT") }, "dmarc", deliverability.Bad, "no DMARC"},
		"watching": {func(z zone, _ *deliverability.Sender) {
			z["_dmarc.boutique.example TXT"] = []string{"v=DMARC1; p=none"}
		}, "dmarc", deliverability.Warning, "only watches"},
		"two dmarc": {func(z zone, _ *deliverability.Sender) {
			z["_dmarc.boutique.example TXT"] = []string{"v=DMARC1; p=none", "v=DMARC1; p=reject"}
		}, "dmarc", deliverability.Bad, "2 policies"},
		"of the parent": {func(z zone, s *deliverability.Sender) {
			z["_dmarc.boutique.example TXT"] = []string{"v=DMARC1; p=reject; sp=none"}
			s.From = "bonjour@news.boutique.example"
		}, "dmarc", deliverability.Warning, "only watches"},
		"no mx":      {func(z zone, _ *deliverability.Sender) { delete(z, "boutique.example MX") }, "mx", deliverability.Bad, "takes no mail"},
		"free mail":  {func(_ zone, s *deliverability.Sender) { s.From = "maboutique@gmail.com" }, "from", deliverability.Bad, "gmail.com"},
		"no address": {func(_ zone, s *deliverability.Sender) { s.From = "boutique" }, "from", deliverability.Bad, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			z, s := good(t), sender()
			c.change(z, &s)
			for _, f := range deliverability.Check(t.Context(), serve(t, z), s) {
				if f.Check != c.check {
					continue
				}
				if f.Standing != c.want || !strings.Contains(f.Says, c.word) || (f.Standing != deliverability.Good && f.Do == "") {
					t.Errorf("%+v", f)
				}
				return
			}
			t.Errorf("nothing was said of %s", c.check)
		})
	}
}

func tooMany() func(z zone, s *deliverability.Sender) {
	return func(z zone, _ *deliverability.Sender) {
		var all []string
		for i := range 11 {
			name := fmt.Sprintf("i%d.example", i)
			all = append(all, "include:"+name)
			z[name+" TXT"] = []string{"v=spf1 ip4:192.0.2.1 -all"}
		}
		z["boutique.example TXT"] = []string{"v=spf1 " + strings.Join(all, " ") + " -all"}
	}
}

func dkim(t *testing.T, record string) func(z zone, s *deliverability.Sender) {
	t.Helper()
	return func(z zone, _ *deliverability.Sender) { z["s1._domainkey.boutique.example TXT"] = []string{record} }
}

func TestWithoutANetworkItSaysSo(t *testing.T) {
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := conn.LocalAddr().String()
	_ = conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, f := range deliverability.Check(ctx, deliverability.NewDNS(nobody), sender()) {
		if f.Check == "from" {
			continue
		}
		n++
		if f.Standing != deliverability.Unknown || !strings.Contains(f.Do, "network") {
			t.Errorf("%+v", f)
		}
	}
	if n != 4 {
		t.Errorf("%d findings", n)
	}
}

func TestRatesAreJudgedByTheLimitsOfMailboxProviders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f                   deliverability.Fared
		complaints, bounces deliverability.Standing
	}{
		{deliverability.Fared{Days: 30, Delivered: 199}, deliverability.Unknown, deliverability.Unknown},
		{deliverability.Fared{Days: 30, Delivered: 10000, Complained: 9, Bounced: 200}, deliverability.Good, deliverability.Good},
		{deliverability.Fared{Days: 30, Delivered: 10000, Complained: 10, Bounced: 250}, deliverability.Warning, deliverability.Warning},
		{deliverability.Fared{Days: 30, Delivered: 10000, Complained: 30, Bounced: 600}, deliverability.Bad, deliverability.Bad},
	} {
		got := deliverability.Rates(c.f)
		if got[0].Standing != c.complaints || got[1].Standing != c.bounces {
			t.Errorf("%+v: %+v", c.f, got)
		}
	}
}
