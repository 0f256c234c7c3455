package sendgrid

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/relance/relance/internal/fault"
)

const (
	opProbe   = "asking SendGrid what our key may do"
	maxScopes = 256 << 10 // bytes
	rightSend = "mail.send"
)

// Probe implements mailer.Prober: it asks what the key may do, and sends nothing.
func (p *Provider) Probe(ctx context.Context) (string, error) {
	if err := p.ready(ctx); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	resp, err := p.ask(ctx, "/v3/scopes", nil)
	if err != nil { // nothing was to be sent, so nothing is in doubt
		e := fault.New(fault.Retry, opProbe, errors.Unwrap(err))
		e.Hint = "Check the way to " + p.base + "."
		return "", e
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if resp.StatusCode != http.StatusOK {
		e := refused(resp, "", time.Now())
		e.Op = opProbe
		if e.Class == fault.Unknown || e.Class == fault.Reject {
			e.Class = fault.Retry
		}
		if resp.StatusCode == http.StatusForbidden {
			e.Hint = "Give the key the permission Mail Send, and check that the account is in use."
		}
		return "", e
	}
	var answer struct {
		Scopes []string `json:"scopes"`
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxScopes))
	if err != nil || json.Unmarshal(body, &answer) != nil {
		return "", fault.New(fault.Retry, opProbe, errors.New("its answer cannot be understood"))
	}
	if !slices.Contains(answer.Scopes, rightSend) {
		e := fault.New(fault.Operator, opProbe, errors.New("the key may not send mails"))
		e.Hint = "Give the key the permission Mail Send, in SendGrid under Settings, API Keys."
		return "", e
	}
	found := fmt.Sprintf("SendGrid (%s) knows the key, and it may send.", p.base)
	if p.config.Sandbox {
		found += " The sandbox is on: nobody is reached."
	}
	return found, nil
}
