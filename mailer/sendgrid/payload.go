package sendgrid

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/sendgrid/sendgrid-go/helpers/mail"

	"github.com/relance/relance/mailer"
)

// What SendGrid takes in one request.
const (
	maxMessage = 30 << 20 // bytes
	maxPeople  = 1000     // recipients, and personalizations
	maxArgs    = 10_000   // bytes of custom arguments; whether of each mail or of all is not said, so: of all
	overhead   = 4 << 10  // bytes left for what surrounds the personalizations
)

// shared is what all mails of a request have in common. Mails that we have filled in ourselves share nothing.
type shared struct {
	campaign, step, template            string
	fromEmail, fromName, replyTo, alone string
}

func sharedBy(m mailer.Mail) shared {
	s := shared{m.Campaign, m.Step, m.TemplateID, m.FromEmail, m.FromName, m.ReplyTo, ""}
	if m.TemplateID == "" {
		s.alone = m.SendID
	}
	return s
}

// request is one POST.
type request struct {
	mails   []mailer.Mail
	at      []int // of each in the batch
	people  []json.RawMessage
	address map[string]bool
	size    int
	args    int
}

// requests divides mails among as few requests as SendGrid's limits allow: each address at most once in each. What cannot be
// a mail is given to refuse.
func requests(mails []mailer.Mail, refuse func(i int, err error)) []*request {
	var all []*request
	open := map[shared][]*request{}
	for i, m := range mails {
		one, args, err := personalization(m, len(mails) == 1)
		if err != nil {
			refuse(i, err)
			continue
		}
		key, address := sharedBy(m), strings.ToLower(m.ToEmail)
		var into *request
		for _, r := range open[key] {
			if len(r.mails) < maxPeople && !r.address[address] && r.args+args < maxArgs && r.size+len(one)+overhead < maxMessage {
				into = r
				break
			}
		}
		if into == nil {
			into = &request{address: map[string]bool{}}
			open[key] = append(open[key], into)
			all = append(all, into)
		}
		into.mails, into.at, into.people = append(into.mails, m), append(into.at, i), append(into.people, one)
		into.address[address] = true
		into.args += args
		into.size += len(one) + 1
	}
	return all
}

// personalization is what a request says of one mail; args are the bytes of its custom arguments. Those of a mail that was
// handed over by itself are the request's.
func personalization(m mailer.Mail, single bool) (one json.RawMessage, args int, err error) {
	if err := m.Deliverable(); err != nil {
		return nil, 0, err // SendGrid blocks senders of too many bad requests
	}
	p := mail.NewPersonalization()
	p.AddTos(mail.NewEmail(name(m.ToName), m.ToEmail))
	for k, v := range m.Headers {
		p.SetHeader(k, mailer.OneLine(v))
	}
	if m.TemplateID != "" {
		p.DynamicTemplateData = m.TemplateData
	}
	if !single {
		maps.Copy(p.CustomArgs, arguments(m))
	}
	args = len("{}")
	for k, v := range p.CustomArgs {
		args += len(k) + len(v) + len(`"":"",`)
	}
	if one, err = encode(p); err != nil {
		return nil, 0, err
	}
	return one, args, nil
}

// arguments come back with every event. SendGrid stores them for long and cannot redact them: opaque ids only.
func arguments(m mailer.Mail) map[string]string {
	return map[string]string{"send_id": m.SendID, "step": m.Step}
}

// body is a request's body. single: see personalization.
func (r *request) body(sandbox, single bool) ([]byte, error) {
	m := r.mails[0]
	v3 := mail.NewV3Mail()
	v3.SetFrom(mail.NewEmail(name(m.FromName), m.FromEmail))
	if m.ReplyTo != "" {
		v3.SetReplyTo(mail.NewEmail("", m.ReplyTo))
	}
	if m.TemplateID != "" {
		v3.SetTemplateID(m.TemplateID)
	} else {
		v3.Subject = mailer.OneLine(m.Subject)
		// The order is prescribed, and an empty part is refused.
		if m.Text != "" {
			v3.AddContent(mail.NewContent("text/plain", m.Text))
		}
		if m.HTML != "" {
			v3.AddContent(mail.NewContent("text/html", m.HTML))
		}
	}
	if m.Campaign != "" {
		v3.AddCategories(m.Campaign)
	}
	if single {
		v3.CustomArgs = arguments(m)
	}
	v3.SetTrackingSettings(mail.NewTrackingSettings().
		SetClickTracking(mail.NewClickTrackingSetting().SetEnable(false).SetEnableText(false)).
		SetOpenTracking(mail.NewOpenTrackingSetting().SetEnable(false)).
		SetSubscriptionTracking(mail.NewSubscriptionTrackingSetting().SetEnable(false)))
	if sandbox {
		v3.SetMailSettings(mail.NewMailSettings().SetSandboxMode(mail.NewSetting(true)))
	}
	whole, err := encode(struct {
		*mail.SGMailV3

		Personalizations []json.RawMessage `json:"personalizations"`
	}{v3, r.people})
	if err == nil && len(whole) > maxMessage {
		return nil, fmt.Errorf("it has %d bytes, SendGrid takes %d", len(whole), maxMessage)
	}
	return whole, err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // html would grow by half
	if err := enc.Encode(v); err != nil {
		return nil, errors.New("it cannot be written as JSON")
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// name is a display name without what SendGrid refuses in one.
func name(s string) string {
	return mailer.OneLine(strings.NewReplacer(";", " ", ",", " ").Replace(s))
}
