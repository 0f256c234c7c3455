package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

// Deliveries of events come to the running program as they come from SendGrid: a hundred at once, each event up to 46 times
// and in any order, at both processes where there are two; as large as SendGrid makes them; without what the mail carried;
// and from people who are not SendGrid. Each event counts once.
func TestEventsOverHTTPCountOnce(t *testing.T) {
	t.Parallel()
	binary := buildProgram(t)
	eachEngine(t, func(t *testing.T, engine store.Dialect) {
		m := newMailing(t, binary, engine, mathrand.New(mathrand.NewPCG(7, 7)), 20)
		m.sg.Answer = nil // all goes well
		m.begin()
		m.waitFor("every mail is sent", func(s status) bool { return settledSends(s) == m.expected() })
		mails := m.sg.Mails()

		delivered, opened := m.aboutAll("delivered", mails), m.aboutAll("open", mails)
		all := slices.Repeat(slices.Concat(m.aboutAll("processed", mails), delivered), 46)
		m.rnd.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var bodies [][]byte
		for some := range slices.Chunk(all, (len(all)+99)/100) {
			bodies = append(bodies, sendgridtest.Body(t, some...))
		}
		if answers := m.postAtOnce(bodies); answers[http.StatusOK] != len(bodies) {
			t.Errorf("answers to %d deliveries at once: %v", len(bodies), answers)
		}
		m.stored("processed", len(mails))
		m.stored("delivered", len(mails))

		// As large as SendGrid's are, and larger than anybody's.
		large := sendgridtest.Body(t, m.padded(opened, 768<<10)...)
		if answers := m.postAtOnce([][]byte{large, large, sendgridtest.Body(t, m.padded(opened, 3<<20)...)}); answers[http.StatusOK] != 2 || answers[http.StatusRequestEntityTooLarge] != 1 {
			t.Errorf("answers to large deliveries: %v", answers)
		}
		m.stored("opened", len(mails))

		// Without what the mail carried: a delivery says nothing then, a bounce still stops mail to its address.
		bare := func(kind string) sendgridtest.Event {
			return m.sg.Event(kind, mails[0], time.Now()).With("send_id", nil).With("step", nil).With("category", nil)
		}
		m.postAll(bare("delivered"), bare("bounce"), bare("bounce").With("sg_event_id", nil))
		m.refused(sendgridtest.Body(t, m.sg.Event("spamreport", mails[1], time.Now())))

		m.waitFor("what came back is counted", func(s status) bool { return saidBack(s, "delivered") == len(mails) })
		m.waitFor("the bounced address is suppressed", func(status) bool {
			return m.number("SELECT COUNT(*) FROM suppressions WHERE reason LIKE 'bounce%'") == 1
		})
		if n := m.number("SELECT COUNT(*) FROM suppressions"); n != 1 {
			t.Errorf("%d addresses are suppressed", n)
		}
		if n := m.number("SELECT COUNT(*) FROM mail_events WHERE kind='complained'"); n != 0 {
			t.Errorf("%d complaints of somebody who is not SendGrid", n)
		}
		if n := m.number("SELECT COUNT(*) FROM mail_events WHERE kind='delivered' AND send_id<>0"); n != len(mails) {
			t.Errorf("%d deliveries of %d mails", n, len(mails))
		}
		for _, v := range m.processes {
			v.stop()
		}
	})
}

func (m *mailing) aboutAll(kind string, mails []sendgridtest.Mail) []sendgridtest.Event {
	var events []sendgridtest.Event
	for _, mail := range mails {
		events = append(events, m.sg.Event(kind, mail, time.Now()))
	}
	return events
}

// padded repeats events, each with much to say, up to a size of their body.
func (m *mailing) padded(events []sendgridtest.Event, size int) []sendgridtest.Event {
	var out []sendgridtest.Event
	agent := sendgridtest.Browser + strings.Repeat(" (and so on)", 80)
	one := len(sendgridtest.Body(m.t, events[0].With("useragent", agent)))
	for i := 0; len(out)*one < size; i++ {
		out = append(out, events[i%len(events)].With("useragent", agent))
	}
	return out
}

// postAtOnce posts signed bodies, all at once, at each process in turn.
func (m *mailing) postAtOnce(bodies [][]byte) (answers map[int]int) {
	m.t.Helper()
	answers = map[int]int{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i, body := range bodies {
		wg.Go(func() {
			status, err := m.sg.Post(m.t.Context(), m.eventsURL(i), body)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				m.t.Error(err)
			}
			answers[status]++
		})
	}
	wg.Wait()
	return answers
}

func (m *mailing) eventsURL(i int) string {
	return "http://" + m.processes[i%len(m.processes)].public + "/events/default"
}

func (m *mailing) postAll(events ...sendgridtest.Event) {
	m.t.Helper()
	if answers := m.postAtOnce([][]byte{sendgridtest.Body(m.t, events...)}); answers[http.StatusOK] != 1 {
		m.t.Errorf("answers: %v", answers)
	}
}

// refused posts a body that SendGrid did not sign: without a signature, with one of other keys, and with its own of something
// else.
func (m *mailing) refused(body []byte) {
	m.t.Helper()
	stamp := fmt.Sprint(time.Now().Unix())
	hash := sha256.Sum256(append([]byte(stamp), body...))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		m.t.Fatal(err)
	}
	ofRSA, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, hash[:])
	if err != nil {
		m.t.Fatal(err)
	}
	signed := func(signature []byte) http.Header {
		h := http.Header{}
		h.Set(eventwebhook.VerificationHTTPHeader, base64.StdEncoding.EncodeToString(signature))
		h.Set(eventwebhook.TimestampHTTPHeader, stamp)
		return h
	}
	elsewhere, otherBody := http.Header{}, http.Header{}
	sendgridtest.New(m.t).Sign(elsewhere, body, time.Now())
	m.sg.Sign(otherBody, append(slices.Clone(body), ' '), time.Now())
	for what, h := range map[string]http.Header{
		"no signature": {}, "another account's key": elsewhere, "of another body": otherBody, "RSA key": signed(ofRSA), "no signature at all": signed([]byte("nonsense")),
	} {
		r, err := http.NewRequestWithContext(m.t.Context(), http.MethodPost, m.eventsURL(0), bytes.NewReader(body))
		if err != nil {
			m.t.Fatal(err)
		}
		r.Header = h
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			m.t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		_ = a.Body.Close()
		if a.StatusCode != http.StatusForbidden {
			m.t.Errorf("%s: %d", what, a.StatusCode)
		}
	}
}

// stored compares how many events of a kind are kept: they are before the answer.
func (m *mailing) stored(kind string, want int) {
	m.t.Helper()
	if n := m.number("SELECT COUNT(*) FROM provider_events WHERE kind=?", kind); n != want {
		m.t.Errorf("%d events %s are stored, want %d", n, kind, want)
	}
}

// number looks into the database beside the processes.
func (m *mailing) number(query string, args ...any) (n int) {
	m.t.Helper()
	db, err := store.Open(m.t.Context(), store.Options{DSN: m.processes[0].dsn})
	if err != nil {
		m.t.Fatal(err)
	}
	defer db.Close()
	if err := db.Read().GetContext(m.t.Context(), &n, query, args...); err != nil {
		m.t.Fatal(err)
	}
	return n
}
