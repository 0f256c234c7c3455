package mailer

import "github.com/relance/relance/internal/crm"

// Act is an opening or a click as it is judged.
type Act = act

// FlowHour is one hour of events.
type FlowHour = flowHour

// NewAct is a click on a link, or an opening.
func NewAct(at crm.Instant, link, own string) Act {
	if link == "" {
		return act{kind: EventOpened, at: at, own: own}
	}
	return act{kind: EventClicked, at: at, url: link, own: own}
}

// WhoDid judges the openings and clicks of one mail.
func WhoDid(handed, delivered crm.Instant, acts []Act) []string {
	return whoDid(handed, delivered, acts)
}

// OwnSigns is what an event shows by itself.
func OwnSigns(kind, source, agent, reason string, machine bool) string {
	return ownSigns(kind, source, agent, reason, machine)
}

// SignNames are all that a machine is seen by.
func SignNames() []string { return signNames() }

// NeverSentBy tells whether a mail without events was never sent.
func NeverSentBy(hours []FlowHour, handed crm.Instant) bool { return neverSent(hours, handed) }
