package smtp

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"time"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// standardWait is how long to leave a server alone that asks to wait: SMTP has no way to say for how long.
const standardWait = 30 * time.Second

// failed says what becomes of a mail whose conversation ended with an error.
func (p *Provider) failed(at stage, err error, m mailer.Mail) error {
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return p.refused(at, reply, m)
	}
	switch {
	case errors.Is(err, errTooBig), errors.Is(err, errNoUTF8):
		return fault.New(fault.Reject, op, err)
	case errors.Is(err, errNoStartTLS):
		return operator(op, err, "Correct host and port; or set tls: implicit, port 465, when the mail server wants it so.")
	case errors.Is(err, errNoLogin):
		return operator(op, err, "Correct host and port (submission is 587 or 465, not 25), or leave user and password out when the server wants none.")
	case at == handing:
		return fault.New(fault.Unknown, op, fmt.Errorf("there was no answer after the message had begun: %w", bareCause(err)))
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return operator(op, errors.New("its certificate cannot be verified"), "Correct host, have the certificate renewed, or name the private authority in ca_file.")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return operator(op, errors.New("it does not speak TLS there"), "Correct port and tls: 587 goes with starttls, 465 with implicit.")
	}
	e := fault.New(fault.Retry, op, fmt.Errorf("%s: %w", at.doing(), bareCause(err)))
	if at == connecting {
		e.Hint = "Check host and port when this does not pass by itself."
	}
	return e
}

// bareCause is an error of the network without addresses of people; servers' names and numbers are none.
func bareCause(err error) error {
	if n, ok := errors.AsType[*net.OpError](err); ok {
		return n
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok { // quotes what the server said
		return errors.New("the mail server does not speak SMTP")
	}
	return err
}

// refused says what a reply means. A reply is definite: whoever answers a message with 4 or 5 has not taken it.
func (p *Provider) refused(at stage, reply *textproto.Error, m mailer.Mail) error {
	said := m.Discreet(reply.Msg, p.config.Password, p.config.User, m.FromEmail)
	e := fault.New(fault.Reject, op, fmt.Errorf("%s, it answered %d %s", at.doing(), reply.Code, said))
	switch {
	case reply.Code == 421:
		e.Class, e.After = fault.Throttled, standardWait
	case reply.Code >= 400 && reply.Code < 500:
		e.Class = fault.Retry
		// About this recipient alone (greylisting, a full mailbox), or about all that we hand over?
		if at != addressing && (reply.Code == 450 || reply.Code == 451 || reply.Code == 452) {
			e.Class, e.After = fault.Throttled, standardWait
		}
	case reply.Code < 500 || reply.Code > 599: // no refusal and not what was expected
		e.Class = fault.Retry
		if at == handing {
			e.Class = fault.Unknown
		}
	case at == naming && reply.Code == 552: // too big
	case at == loggingIn:
		e.Class, e.Hint = fault.Operator, "Correct user and password."
	case reply.Code == 530, reply.Code == 535, reply.Code == 538:
		e.Class, e.Hint = fault.Operator, "Give user and password of an account that may send."
	case at < naming:
		e.Class, e.Hint = fault.Operator, "Check host, port and tls, and whether the mail server takes mails from this machine."
	case at == naming, at == addressing && aboutUs(reply.Msg):
		e.Class, e.Hint = fault.Operator, "Check that the mail server lets this user send from the from address."
	}
	return e
}

// aboutUs finds refusals of a recipient that mean the sender: many servers (Postfix among them) judge the sender only once
// they know a recipient. Refusing mail after mail for it would lose them all.
func aboutUs(text string) bool {
	return regexp.MustCompile(`(?i)\brelay(ing)?\b.*\b(denied|not permitted|not allowed|prohibited)|\bsender address rejected\b|\bauthentication required\b|\bnot owned by user\b`).MatchString(text)
}

// doing says what was being done.
func (s stage) doing() string {
	switch s {
	case connecting:
		return "connecting"
	case greeting:
		return "greeting it"
	case encrypting:
		return "agreeing on TLS"
	case loggingIn:
		return "logging in"
	case naming:
		return "naming the sender"
	case addressing:
		return "naming the recipient"
	case offering:
		return "offering the message"
	default:
		return "handing over the message"
	}
}
