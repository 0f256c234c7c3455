package sendgrid

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/relance/relance/mailer"
)

const maxMessage = 30 << 20 // bytes SendGrid takes

// payload is the request's body. What SendGrid stores for long and cannot redact (custom_args, categories) holds our
// opaque ids only.
func payload(m mailer.Mail, sandbox bool) ([]byte, error) {
	if at := strings.LastIndexByte(m.ToEmail, '@'); at < 1 || at == len(m.ToEmail)-1 {
		return nil, errors.New("the recipient's address is none") // SendGrid blocks senders of too many bad requests
	}
	p := mail.NewPersonalization()
	p.AddTos(mail.NewEmail(name(m.ToName), m.ToEmail))
	for k, v := range m.Headers {
		p.SetHeader(k, line(v))
	}
	v3 := mail.NewV3Mail()
	v3.SetFrom(mail.NewEmail(name(m.FromName), m.FromEmail))
	if m.ReplyTo != "" {
		v3.SetReplyTo(mail.NewEmail("", m.ReplyTo))
	}
	v3.Subject = line(m.Subject)
	v3.AddPersonalizations(p)
	// The order is prescribed, and an empty part is refused.
	if m.Text != "" {
		v3.AddContent(mail.NewContent("text/plain", m.Text))
	}
	if m.HTML != "" {
		v3.AddContent(mail.NewContent("text/html", m.HTML))
	}
	if m.Campaign != "" {
		v3.AddCategories(m.Campaign)
	}
	v3.SetCustomArg("send_id", m.SendID)
	v3.SetCustomArg("step", m.Step)
	v3.SetTrackingSettings(mail.NewTrackingSettings().
		SetClickTracking(mail.NewClickTrackingSetting().SetEnable(false).SetEnableText(false)).
		SetOpenTracking(mail.NewOpenTrackingSetting().SetEnable(false)).
		SetSubscriptionTracking(mail.NewSubscriptionTrackingSetting().SetEnable(false)))
	if sandbox {
		v3.SetMailSettings(mail.NewMailSettings().SetSandboxMode(mail.NewSetting(true)))
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // html would grow by half
	if err := enc.Encode(v3); err != nil {
		return nil, errors.New("it cannot be written as JSON")
	}
	if b.Len() > maxMessage {
		return nil, fmt.Errorf("it has %d bytes, SendGrid takes %d", b.Len(), maxMessage)
	}
	return b.Bytes(), nil
}

// line makes a header's value one line.
func line(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// name is a display name without what SendGrid refuses in one.
func name(s string) string { return line(strings.NewReplacer(";", " ", ",", " ").Replace(s)) }
