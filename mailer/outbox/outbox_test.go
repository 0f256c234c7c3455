package outbox_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/mailertest"
	"github.com/relance/relance/mailer/outbox"
)

func open(t *testing.T, dir string) *outbox.Outbox {
	t.Helper()
	o, err := outbox.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

func TestConformance(t *testing.T) {
	at := func(t *testing.T, dir string) mailertest.Subject {
		t.Helper()
		o := open(t, dir)
		return mailertest.Subject{Provider: o, Received: func(t *testing.T) []mailer.Mail { return kept(t, o) }}
	}
	in := func(spoil func(dir string) error) func(t *testing.T) mailertest.Subject {
		return func(t *testing.T) mailertest.Subject {
			dir := filepath.Join(t.TempDir(), "outbox")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			s := at(t, dir)
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	mailertest.Run(t, mailertest.Contract{
		Open: func(t *testing.T) mailertest.Subject { return at(t, t.TempDir()) },
		In: map[mailertest.Trouble]func(t *testing.T) mailertest.Subject{
			mailertest.Dropped:  in(func(dir string) error { return os.MkdirAll(filepath.Join(dir, "S000001.html", "x"), 0o700) }),
			mailertest.WrongKey: in(func(dir string) error { return os.RemoveAll(dir) }),
		},
	})
}

func kept(t *testing.T, o *outbox.Outbox) []mailer.Mail {
	t.Helper()
	entries, err := o.Mails(1000)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []mailer.Mail
	for _, e := range entries {
		c, err := o.Open(e.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, mailer.Mail{
			SendID: c.ID, Campaign: c.Campaign, Step: c.Step, FromEmail: c.From, FromName: c.FromName, ReplyTo: c.ReplyTo,
			ToEmail: c.To, ToName: c.ToName, Subject: c.Subject, HTML: c.HTML, Text: c.Text, Headers: c.Headers, Created: c.Created,
		})
	}
	return out
}

func TestATemplateOfTheProviderShowsItsData(t *testing.T) {
	o := open(t, t.TempDir())
	m := mailertest.Dynamic(1)
	m.TemplateData["cart"] = map[string]any{"lines": []any{map[string]any{"name": "<b>Écharpe</b>", "quantity": int64(2)}}}
	m.TemplateData["event"] = map[string]string{"size": "M"}
	if _, err := o.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	c, err := o.Open(m.SendID)
	if err != nil {
		t.Fatal(err)
	}
	want := "SendGrid would fill in its template d-0123456789abcdef with:\n\ncart.lines.0.name: <b>Écharpe</b>\ncart.lines.0.quantity: 2\n" +
		"contact.first_name: Zoé1\nevent.size: M\nlocale: fr\n"
	if diff := cmp.Diff(want, c.Text); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(c.HTML, "<td style=\"padding:2px 0;overflow-wrap:anywhere\">&lt;b&gt;Écharpe&lt;/b&gt;</td>") || c.Subject != "Template d-0123456789abcdef" || c.Template != m.TemplateID {
		t.Error(c.Subject, c.HTML)
	}
}

func TestB1_AMailHandedOverTwiceShows(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	first := mailertest.Mail(1)
	again := mailertest.Mail(1)
	again.Subject = "another"
	for _, m := range []mailer.Mail{first, mailertest.Mail(2), again} {
		if id, err := o.Send(t.Context(), m); err != nil || id != m.SendID {
			t.Fatal(id, err)
		}
	}
	handed, err := open(t, dir).Handed() // as another process sees it
	if diff := cmp.Diff(map[string]int{"S000001": 2, "S000002": 1}, handed); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err := o.Mails(10); err != nil || len(got) != 2 || got[0].ID != "S000001" {
		t.Error("listed twice, or not as the newest", got, err)
	}
	if c, err := o.Open("S000001"); err != nil || c.Subject != again.Subject {
		t.Error("the newer is not shown", c.Subject, err)
	}
}

func TestMailsAreListedNewestFirst(t *testing.T) {
	o := open(t, t.TempDir())
	const n = 400 // more than a block of the log
	for i := range n {
		if _, err := o.Send(t.Context(), mailertest.Mail(i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{0, 1, 10, n, 2 * n} {
		got, err := o.Mails(limit)
		if err != nil || len(got) != min(limit, n) {
			t.Fatal(len(got), err)
		}
		for i, e := range got {
			if want := mailertest.Mail(n - 1 - i); e.ID != want.SendID || e.Subject != want.Subject || !e.Created.Equal(want.Created) {
				t.Fatalf("%d: %+v", i, e)
			}
		}
	}
	if got, err := open(t, t.TempDir()).Mails(10); err != nil || len(got) != 0 {
		t.Error(got, err)
	}
}

func TestAnIDLeadsNowhereElse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	o := open(t, dir)
	secret := filepath.Join(filepath.Dir(dir), "secret.json")
	if err := os.WriteFile(secret, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", ".", "..", "../secret", "a/b", `a\b`, "a b", "a\x00", "é", "handed.log", strings.Repeat("x", 101)} {
		m := mailertest.Mail(1)
		m.SendID = id
		if _, err := o.Send(t.Context(), m); fault.ClassOf(err) != fault.Reject {
			t.Errorf("%q was kept: %v", id, err)
		}
		if _, err := o.Open(id); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q was opened: %v", id, err)
		}
	}
	if _, err := o.Open("S000009"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	// Nor does a link laid in the folder.
	if err := os.Symlink(secret, filepath.Join(dir, "linked.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Open("linked"); err == nil {
		t.Error("a link out of the folder was followed")
	}
}

func TestTheMessageOpensInAMailProgram(t *testing.T) {
	dir := t.TempDir()
	m := mailertest.Mail(3)
	if _, err := open(t, dir).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "S000003.eml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	msg, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	to, err := msg.Header.AddressList("To")
	if err != nil || to[0].Name != m.ToName || to[0].Address != m.ToEmail {
		t.Error(to, err)
	}
	if s, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil || s != m.Subject {
		t.Error(s, err)
	}
	if d, err := msg.Header.Date(); err != nil || !d.Equal(m.Created) {
		t.Error(d, err)
	}
	if msg.Header.Get("List-Unsubscribe") != m.Headers["List-Unsubscribe"] {
		t.Error(msg.Header)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []string{m.Text, m.HTML} {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if diff := cmp.Diff(want, strings.ReplaceAll(string(b), "\r\n", "\n")); diff != "" || err != nil {
			t.Error(diff, err)
		}
	}
}

func TestNothingIsLeftHalfWritten(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := o.Send(t.Context(), mailertest.Mail(i%5)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if files := ls(t, dir); len(files) != 5*4+1 {
		t.Error(files)
	}
	info, err := os.Stat(filepath.Join(dir, "S000001.html"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	// A killed process's leavings go, another's work in progress stays.
	old, young := filepath.Join(dir, "a.html.X.tmp"), filepath.Join(dir, "b.html.Y.tmp")
	for _, f := range []string{old, young} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if files := ls(t, dir); len(files) != 5*4+2 {
		t.Error(files)
	}
}

func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestAFullDiskIsTriedAgainAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, "handed.log")); err != nil {
		t.Fatal(err)
	}
	_, err := open(t, dir).Send(t.Context(), mailertest.Mail(1))
	if err == nil || fault.ClassOf(err) != fault.Retry || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "no space left") {
		t.Error(err)
	}
	if files := ls(t, dir); len(files) != 1 {
		t.Error(files)
	}
}

func TestAFolderThatIsGoneIsForTheOperator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "outbox")
	o := open(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, err := o.Send(t.Context(), mailertest.Mail(1))
	if fault.ClassOf(err) != fault.Operator || strings.Contains(err.Error(), "S000001") {
		t.Error(err)
	}
}

func TestAFailureAfterTheHandOverIsUnknown(t *testing.T) {
	dir := t.TempDir()
	o := open(t, dir)
	if err := os.MkdirAll(filepath.Join(dir, "S000001.html", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Send(t.Context(), mailertest.Mail(1)); fault.ClassOf(err) != fault.Unknown {
		t.Error(err)
	}
	if handed, err := o.Handed(); err != nil || handed["S000001"] != 1 {
		t.Error(handed, err)
	}
	if got, err := o.Mails(10); err != nil || len(got) != 0 {
		t.Error("a mail that is not whole is listed", got, err)
	}
}

func TestATornLineHidesNoOther(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "handed.log"), []byte("2026-11-22T09:00:00.000Z S0000"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := open(t, dir)
	for i := range 2 {
		if _, err := o.Send(t.Context(), mailertest.Mail(i)); err != nil {
			t.Fatal(err)
		}
	}
	if handed, err := o.Handed(); err != nil || len(handed) != 2 || handed["S000000"] != 1 {
		t.Error(handed, err)
	}
	if got, err := o.Mails(10); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
}

func BenchmarkSend(b *testing.B) {
	o, err := outbox.New(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	m := mailertest.Mail(1)
	n := make(chan string)
	go func() {
		for i := 0; ; i++ {
			n <- fmt.Sprintf("B%d", i)
		}
	}()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			m := m
			m.SendID = <-n
			if _, err := o.Send(b.Context(), m); err != nil {
				b.Error(err)
			}
		}
	})
}
