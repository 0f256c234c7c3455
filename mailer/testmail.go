package mailer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/relance/relance/internal/fault"
)

// TestSendPrefix begins the ids of test mails. With its hyphen it is no number as SendID writes them: no event about a test
// mail ever meets the ledger. Rooms of providers leave such events out.
const TestSendPrefix = "test-"

// testCampaign is what a provider counts test mails under.
const testCampaign = "relance-test"

// TestMail is a previewed mail as it goes to somebody who looks at it before anybody else does: to that address alone, marked
// in its subject (SendGrid's own templates have theirs there: it cannot be marked), under an id that is in no ledger.
func (p Previewed) TestMail(to string) (Mail, error) {
	m := p.Mail
	if p.Failed != nil {
		return Mail{}, fmt.Errorf("filling in step %s: %w", p.Step, p.Failed)
	}
	m.SendID, m.Campaign = TestSendPrefix+strings.ToLower(rand.Text()), testCampaign
	m.ToEmail, m.ToName = to, ""
	if m.TemplateID == "" {
		m.Subject = "[Test] " + m.Subject
	}
	return m, m.Deliverable()
}

// SendTest hands a test mail to a provider, once, and gives the provider's id of it. Errors say what to do, and name nobody.
func SendTest(ctx context.Context, to Provider, m Mail) (messageID string, err error) {
	if !strings.HasPrefix(m.SendID, TestSendPrefix) {
		return "", errors.New("sending a test mail: it is none")
	}
	ctx, cancel := context.WithTimeout(ctx, handWindow)
	defer cancel()
	id, err := sendOnce(ctx, to, m)
	if err == nil {
		return id, nil
	}
	out := &fault.Error{Class: fault.Unknown, Op: "sending the test mail"}
	cause := err
	if e, ok := errors.AsType[*fault.Error](err); ok {
		out.Class, out.Hint, out.After = e.Class, fault.HintOf(err), e.After
		cause = (&fault.Error{Op: e.Op, Err: e.Err})
	}
	out.Err = errors.New(strings.TrimSuffix(redact(cause), ". "+out.Hint))
	if out.Hint == "" {
		out.Hint = afterTest(out.Class, out.After)
	}
	return "", out
}

// afterTest is what to do where the provider's room says nothing.
func afterTest(class fault.Class, after time.Duration) string {
	switch class {
	case fault.Throttled:
		if after > 0 {
			return "The provider has too much to do; try again in " + after.Round(time.Second).String()
		}
		return "The provider has too much to do; try again in a minute"
	case fault.Retry:
		return "Nothing was sent; try again"
	case fault.Unknown:
		return "It may have been sent; look whether it arrives before you try again"
	case fault.Operator, fault.Reject:
	}
	return "Nothing was sent"
}
