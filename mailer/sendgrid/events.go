package sendgrid

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

// Source is mailer.ProviderEvent.Source of what SendGrid says.
const Source = "sendgrid"

// Events is one delivery of the Event Webhook.
type Events struct {
	Events    []mailer.ProviderEvent
	Malformed int // elements that are no event: the others count all the same
	Ignored   int // events that say nothing of a mail, or of one that was a test
}

// DecodeEvents takes a delivery apart. Only a body that is no JSON array is an error; it does not quote the body.
func DecodeEvents(body []byte) (Events, error) {
	var elements []json.RawMessage
	if err := json.Unmarshal(body, &elements); err != nil || elements == nil {
		return Events{}, errors.New("the body is no JSON array")
	}
	var out Events
	for _, raw := range elements {
		var e element
		if json.Unmarshal(raw, &e) != nil || e == nil || e.text("event") == "" {
			out.Malformed++
			continue
		}
		if v := e.event(); v.Kind != "" && !strings.HasPrefix(e.arg("send_id"), mailer.TestSendPrefix) {
			out.Events = append(out.Events, v)
		} else {
			out.Ignored++
		}
	}
	return out, nil
}

// element is one event, its fields as they came: SendGrid puts what a mail carried (custom_args) among its own.
type element map[string]json.RawMessage

// text reads a field that is a text or a number; "" for anything else.
func (e element) text(field string) string {
	var s string
	if json.Unmarshal(e[field], &s) == nil {
		return s
	}
	var n json.Number
	if json.Unmarshal(e[field], &n) == nil {
		return n.String()
	}
	return ""
}

// arg reads what the mail carried: flattened, as SendGrid does it today, or in an object of its own.
func (e element) arg(name string) string {
	if s := e.text(name); s != "" {
		return s
	}
	for _, object := range []string{"custom_args", "unique_args"} {
		var nested element
		if json.Unmarshal(e[object], &nested) == nil {
			if s := nested.text(name); s != "" {
				return s
			}
		}
	}
	return ""
}

func (e element) yes(field string) bool {
	var b bool
	if json.Unmarshal(e[field], &b) == nil {
		return b
	}
	s := e.text(field)
	return s == "1" || strings.EqualFold(s, "true")
}

// at reads the instant of an event: seconds since 1970 as a number or a text; 0 when there is none that makes sense.
func (e element) at() crm.Instant {
	seconds, err := strconv.ParseFloat(e.text("timestamp"), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 1 || seconds > 1e11 {
		return 0
	}
	return crm.Instant(seconds * 1000)
}

func (e element) event() mailer.ProviderEvent {
	v := mailer.ProviderEvent{
		ID: e.id(), Source: Source, Kind: kindOf(e.text("event")), MessageID: e.messageID(), Email: e.text("email"), At: e.at(), URL: e.text("url"),
		UserAgent: e.text("useragent"), Machine: e.yes("sg_machine_open"),
	}
	if s := e.arg("send_id"); regexp.MustCompile(`^[0-9a-z]{1,13}$`).MatchString(s) {
		v.SendID = s
	}
	switch v.Kind {
	case mailer.EventBounced:
		v.Hard, v.Reason = e.hard(), strings.TrimPrefix(e.text("bounce_classification")+": "+e.text("reason"), ": ")
	case mailer.EventDropped:
		v.Reason = dropReason(e.text("reason"))
	case mailer.EventDelayed:
		v.Reason = e.text("response")
	}
	return v
}

// kindOf translates SendGrid's names; "" for what says nothing of a mail. That somebody wants mail again (group_resubscribe)
// is not theirs to say: only the person can, here.
func kindOf(name string) string {
	switch name {
	case "processed":
		return mailer.EventProcessed
	case "dropped":
		return mailer.EventDropped
	case "delivered":
		return mailer.EventDelivered
	case "deferred":
		return mailer.EventDelayed
	case "bounce", "blocked":
		return mailer.EventBounced
	case "open":
		return mailer.EventOpened
	case "click":
		return mailer.EventClicked
	case "spamreport":
		return mailer.EventComplained
	case "unsubscribe", "group_unsubscribe":
		return mailer.EventUnsubscribed
	}
	return ""
}

// hard tells a bounce for good from one that says something of this mail, of the sender, or of today.
func (e element) hard() bool {
	if e.text("event") != "bounce" || e.text("type") == "blocked" {
		return false
	}
	class := strings.ToLower(e.text("bounce_classification"))
	for _, passing := range []string{"content", "frequency", "reputation", "technical"} {
		if strings.HasPrefix(class, passing) {
			return false
		}
	}
	return !regexp.MustCompile(`(?i)out of (the )?office|auto(matic)?[- ]?(reply|response)|vacation|on holiday|absence du bureau|réponse automatique`).MatchString(e.text("reason"))
}

// dropReason names the reasons that say something of the address as the mailer knows them.
func dropReason(reason string) string {
	lower := strings.ToLower(reason)
	switch {
	case strings.HasPrefix(lower, "bounced address"):
		return mailer.DroppedBounced
	case strings.HasPrefix(lower, "spam reporting address"):
		return mailer.DroppedComplained
	case strings.HasPrefix(lower, "unsubscribed address"), strings.HasPrefix(lower, "group unsubscribe"):
		return mailer.DroppedUnsubscribed
	}
	return reason
}

// messageID is what the send was answered with (X-Message-Id): the beginning of sg_message_id, or of smtp-id.
func (e element) messageID() string {
	if id := e.text("sg_message_id"); id != "" {
		for _, end := range []string{".filter", ".recvd"} {
			id, _, _ = strings.Cut(id, end)
		}
		return id
	}
	id, _, _ := strings.Cut(strings.Trim(e.text("smtp-id"), "<> "), "@")
	return id
}

// id is SendGrid's own, which a repeat has, too; without one, what makes the event this one.
func (e element) id() string {
	if id := e.text("sg_event_id"); id != "" {
		return id
	}
	parts := []string{e.text("event"), e.text("sg_message_id"), e.text("timestamp"), e.text("url")}
	if parts[1] == "" {
		parts = append(parts, e.text("smtp-id"), e.arg("send_id"), strings.ToLower(e.text("email")))
	}
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return "f:" + hex.EncodeToString(h[:])
}
