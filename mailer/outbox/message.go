package outbox

import (
	"bytes"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/relance/relance/mailer"
)

// Entry is what is known of a mail without its text.
type Entry struct {
	ID       string            `json:"send_id"`
	Campaign string            `json:"campaign"`
	Step     string            `json:"step"`
	From     string            `json:"from"`
	FromName string            `json:"from_name"`
	ReplyTo  string            `json:"reply_to,omitempty"`
	To       string            `json:"to"`
	ToName   string            `json:"to_name"`
	Subject  string            `json:"subject"`
	Headers  map[string]string `json:"headers,omitempty"`
	Created  time.Time         `json:"created"`            // business time
	Handed   time.Time         `json:"handed"`             // real time
	Template string            `json:"template,omitempty"` // that the provider would fill in
	Data     map[string]any    `json:"data,omitempty"`     // with this
}

func entryOf(m mailer.Mail, handed time.Time) Entry {
	e := Entry{
		ID: m.SendID, Campaign: m.Campaign, Step: m.Step, From: mailer.OneLine(m.FromEmail), FromName: mailer.OneLine(m.FromName),
		ReplyTo: mailer.OneLine(m.ReplyTo), To: mailer.OneLine(m.ToEmail), ToName: mailer.OneLine(m.ToName), Subject: mailer.OneLine(m.Subject),
		Created: m.Created, Handed: handed, Template: m.TemplateID, Data: m.TemplateData,
	}
	for k, v := range m.Headers {
		if e.Headers == nil {
			e.Headers = map[string]string{}
		}
		e.Headers[mailer.OneLine(k)] = mailer.OneLine(v)
	}
	return e
}

// message is the mail as a mail program opens it (RFC 5322, multipart/alternative).
func message(e Entry, m mailer.Mail) ([]byte, error) {
	var b, body bytes.Buffer
	parts := multipart.NewWriter(&body)
	header := func(key, value string) { fmt.Fprintf(&b, "%s: %s\r\n", key, value) }
	header("From", (&mail.Address{Name: e.FromName, Address: e.From}).String())
	header("To", (&mail.Address{Name: e.ToName, Address: e.To}).String())
	if e.ReplyTo != "" {
		header("Reply-To", (&mail.Address{Address: e.ReplyTo}).String())
	}
	header("Subject", mime.QEncoding.Encode("utf-8", e.Subject))
	header("Date", e.Created.Format(time.RFC1123Z))
	header("Message-ID", "<"+e.ID+"@outbox.invalid>")
	keys := make([]string, 0, len(e.Headers))
	for k := range e.Headers {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		header(textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(k, " ", "-")), mime.QEncoding.Encode("utf-8", e.Headers[k]))
	}
	header("MIME-Version", "1.0")
	header("Content-Type", mime.FormatMediaType("multipart/alternative", map[string]string{"boundary": parts.Boundary()}))
	b.WriteString("\r\n")
	for _, p := range []struct{ kind, text string }{{"text/plain", m.Text}, {"text/html", m.HTML}} {
		if p.text == "" {
			continue
		}
		w, err := parts.CreatePart(textproto.MIMEHeader{
			"Content-Type":              {p.kind + "; charset=utf-8"},
			"Content-Transfer-Encoding": {"quoted-printable"},
		})
		if err != nil {
			return nil, err
		}
		q := quotedprintable.NewWriter(w)
		if _, err := q.Write([]byte(p.text)); err != nil {
			return nil, err
		}
		if err := q.Close(); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	b.Write(body.Bytes())
	return b.Bytes(), nil
}
