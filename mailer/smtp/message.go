package smtp

import (
	"bytes"
	"errors"
	"mime"
	netmail "net/mail"
	"net/textproto"
	"slices"
	"strings"

	"github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/relance/relance/mailer"
)

// letter is a mail as it goes over the wire.
type letter struct {
	id       string // of the message, without < and >
	from, to string // of the envelope, with < and >
	utf8     bool   // an address has letters beyond ASCII before its @: only a server with SMTPUTF8 takes it
	data     []byte
}

// compose writes the message: multipart/alternative, quoted-printable, so that any server may pass it on and no line is too
// long. Its errors are about this mail alone and name nobody.
func compose(m mailer.Mail) (letter, error) {
	if m.TemplateID != "" {
		return letter{}, errors.New("its template is SendGrid's, and a mail server fills in none")
	}
	if err := m.Deliverable(); err != nil {
		return letter{}, err
	}
	to, toUTF8, err := wired(m.ToName, m.ToEmail)
	if err != nil {
		return letter{}, errors.New("the domain of the recipient's address is none")
	}
	from, fromUTF8, err := wired(m.FromName, m.FromEmail)
	if err != nil {
		return letter{}, errors.New("the from address is none")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	l := letter{id: m.SendID + "@" + domain, from: bare(from), to: bare(to), utf8: toUTF8 || fromUTF8}

	msg := mail.NewMsg(mail.WithCharset(mail.CharsetUTF8), mail.WithEncoding(mail.EncodingQP), mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	if m.ReplyTo != "" {
		reply, _, err := wired("", m.ReplyTo)
		if err != nil {
			return letter{}, errors.New("the reply_to address is none")
		}
		msg.ReplyToMailAddress(reply)
	}
	msg.Subject(mailer.OneLine(m.Subject))
	msg.SetDateWithValue(m.Created)
	msg.SetMessageIDWithValue(l.id)
	for key, value := range m.Headers {
		if settable(key) {
			// As it is, on one line: folding is allowed, and yet not every reader of List-Unsubscribe minds it.
			msg.SetGenHeaderPreformatted(mail.Header(textproto.CanonicalMIMEHeaderKey(key)), mime.QEncoding.Encode("utf-8", mailer.OneLine(value)))
		}
	}
	if m.Text != "" || m.HTML == "" {
		msg.SetBodyString(mail.TypeTextPlain, m.Text)
	}
	if m.HTML != "" {
		msg.AddAlternativeString(mail.TypeTextHTML, m.HTML)
	}
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return letter{}, errors.New("it cannot be written as a message")
	}
	l.data = b.Bytes()
	return l, nil
}

// wired is an address as servers know it: its domain in ASCII.
func wired(name, address string) (a *netmail.Address, utf8 bool, err error) {
	at := strings.LastIndexByte(address, '@')
	if parsed, err := netmail.ParseAddress(address); err != nil || parsed.Address != address {
		return nil, false, errors.New("it is no address")
	}
	local, domain := address[:at], address[at+1:]
	if !strings.HasPrefix(domain, "[") { // an address of a machine by its number
		if domain, err = idna.Lookup.ToASCII(domain); err != nil || domain == "" {
			return nil, false, errors.New("it has no domain")
		}
	}
	beyond := strings.ContainsFunc(local, func(r rune) bool { return r > '~' })
	return &netmail.Address{Name: mailer.OneLine(name), Address: local + "@" + domain}, beyond, nil
}

func bare(a *netmail.Address) string { return (&netmail.Address{Address: a.Address}).String() }

// settable headers are ours to add: those that the message has anyway are not, nor is what is no name of a header.
func settable(key string) bool {
	taken := []string{"from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version", "return-path"}
	k := strings.ToLower(key)
	name := k != "" && len(k) <= 76 && !strings.ContainsFunc(k, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' })
	return name && !slices.Contains(taken, k) && !strings.HasPrefix(k, "content-")
}
