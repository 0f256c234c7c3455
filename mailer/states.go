package mailer

import "slices"

// State is where a send stands in the ledger. docs/campaigns.md shows the table of legal transitions.
type State string

const (
	Ready    State = "ready"    // waiting for the gate
	Deferred State = "deferred" // the gate or the provider said: later
	Handing  State = "handing"  // committed before the POST: from here on it is never handed over again blindly
	Accepted State = "accepted" // the provider has it
	Refused  State = "refused"  // it was decided not to send it; Reason says why
	Unknown  State = "unknown"  // it may have been sent; counted as sent, never repeated
)

// States lists every state, for metrics and docs.
func States() []State { return []State{Ready, Deferred, Handing, Accepted, Refused, Unknown} }

// legal is the table of transitions; there is no other way to change a state. Handing goes back to deferred only
// when the provider definitely did not take the mail. A deferred send whose time has come is treated as ready. Unknown ends
// only by what comes back of the mail, or of later ones (feedback_unknown.go): never by sending it.
func legal(from, to State) bool {
	switch from {
	case "":
		return to == Ready
	case Ready, Deferred:
		return to == Handing || to == Deferred || to == Refused
	case Handing:
		return to == Accepted || to == Refused || to == Unknown || to == Deferred
	case Unknown:
		return to == Accepted || to == Refused
	case Accepted, Refused: // terminal
	}
	return false
}

// Terminal tells whether the engine does nothing about it any more.
func (s State) Terminal() bool { return s == Accepted || s == Refused || s == Unknown }

// Reason is why a send was deferred or refused, or is unknown: a closed set.
type Reason string

const (
	NoReason Reason = ""

	// deferred
	WaitingForShop   Reason = "waiting_for_shop"
	Paused           Reason = "campaign_paused"
	NoSender         Reason = "no_sender"
	NoPublicURL      Reason = "no_public_url"
	NoPostalAddress  Reason = "no_postal_address"
	NoKey            Reason = "no_key"
	SegmentUnknown   Reason = "segment_unknown"
	Capped           Reason = "capped"
	CappedCampaign   Reason = "capped_campaign"
	Outranked        Reason = "outranked"
	Quiet            Reason = "quiet_hours"
	PreferredHour    Reason = "preferred_hour"
	RampFull         Reason = "ramp"
	ClockSkew        Reason = "clock_skew"
	NoCoupon         Reason = "no_coupon"
	ProviderBusy     Reason = "provider_busy"
	ProviderDown     Reason = "provider_down"
	ProviderRefusing Reason = "provider_refusing"
	Late             Reason = "late"
	SharedRequest    Reason = "shared_request"

	// refused
	ShopUnreachable  Reason = "shop_unreachable"
	StepRemoved      Reason = "step_removed"
	ContactGone      Reason = "contact_gone"
	MergedAway       Reason = "merged"
	Erased           Reason = "erased"
	NoAddress        Reason = "no_address"
	LeftSegment      Reason = "left_segment"
	CartClosed       Reason = "cart_closed"
	Bought           Reason = "bought"
	GoalReached      Reason = "goal"
	ExitRule         Reason = "exit_if"
	Suppressed       Reason = "suppressed"
	ConsentMissing   Reason = "consent_missing"
	ConsentPending   Reason = "consent_pending"
	ConsentWithdrawn Reason = "consent_withdrawn"
	ConsentExpired   Reason = "consent_expired"
	Stale            Reason = "stale"
	HeldOut          Reason = "holdout"
	Unrendered       Reason = "render"
	Rejected         Reason = "rejected"
	TooManyAttempts  Reason = "attempts"
	NeverSent        Reason = "never_sent"

	// unknown
	Crashed  Reason = "crashed"
	NoAnswer Reason = "no_answer"
)

// reasonText is one reason for people. exits: the contact leaves the campaign, not only this step.
type reasonText struct {
	reason   Reason
	states   []State
	exits    bool
	sentence string
}

func reasonTable() []reasonText {
	later, no, maybe := []State{Deferred}, []State{Refused}, []State{Unknown}
	return []reasonText{
		{WaitingForShop, later, false, "the shop is being read first, so that nobody is mailed about what they have just bought"},
		{Paused, later, false, "the campaign is paused"},
		{NoSender, later, false, "the audience has no sender with a provider: add it to relance.yaml"},
		{NoPublicURL, later, false, "marketing needs a public https address for the unsubscribe link: set public_url in relance.yaml"},
		{NoPostalAddress, later, false, "marketing needs the sender's postal address: set it in relance.yaml"},
		{NoKey, later, false, "there is no key to sign the unsubscribe link with: see keys in relance.yaml"},
		{SegmentUnknown, later, false, "the segment of the trigger cannot be evaluated"},
		{Capped, later, false, "the contact has had as many mails as the sender's cap allows"},
		{CappedCampaign, later, false, "the contact has had as many mails as the campaign's own cap allows"},
		{Outranked, later, false, "another mail goes first, and the sender's cap may leave room for that one only"},
		{Quiet, later, false, "it is night where the contact lives"},
		{PreferredHour, later, false, "the contact likes to be written to at another hour"},
		{RampFull, later, false, "the campaign begins carefully and has sent what it may today (ramp)"},
		{ClockSkew, later, false, "the clocks of the shop and of this machine differ by more than 5 minutes: mend the clock"},
		{NoCoupon, later, false, "no code of the campaign's coupon is left: import more, or see with relance coupon list whether the shop makes them"},
		{ProviderBusy, later, false, "the provider asked to wait"},
		{ProviderDown, later, false, "the provider could not be reached; nothing was sent"},
		{ProviderRefusing, later, false, "the provider refuses our key or sender: check them; nothing was sent"},
		{Late, later, false, "the process was held up before the mail left; nothing was sent"},
		{SharedRequest, later, false, "another mail of the same request was refused; nothing was sent, and this one is tried again without it"},
		{ShopUnreachable, no, false, "the shop could not be read in time"},
		{StepRemoved, no, true, "the step is no longer part of the campaign"},
		{ContactGone, no, true, "the contact is no longer there"},
		{MergedAway, no, true, "the contact was merged into another, who is written to instead"},
		{Erased, no, true, "the person was erased"},
		{NoAddress, no, true, "the contact has no usable e-mail address"},
		{LeftSegment, no, true, "the contact has left the segment"},
		{CartClosed, no, true, "the cart is no longer open"},
		{Bought, no, true, "the contact has ordered since the cart was begun"},
		{GoalReached, no, true, "the goal of the campaign is reached"},
		{ExitRule, no, true, "the campaign's exit_if holds for the contact"},
		{Suppressed, no, true, "an address of the contact is suppressed: unsubscribed, bounced or erased"},
		{ConsentMissing, no, false, "the contact has not agreed to marketing"},
		{ConsentPending, no, false, "the contact has not confirmed yet"},
		{ConsentWithdrawn, no, true, "the contact has withdrawn consent"},
		{ConsentExpired, no, false, "the consent has expired"},
		{Stale, no, false, "it is too late for this mail (not_after)"},
		{HeldOut, no, true, "the contact belongs to the group that gets nothing, for comparison"},
		{Unrendered, no, false, "the template could not be filled in"},
		{Rejected, no, false, "the provider refused this mail"},
		{TooManyAttempts, no, false, "the provider could not be reached for too long"},
		{NeverSent, no, false, "nobody knew whether it was sent, and it was not: for more than a day events of later mails came, and none of this one"},
		{Crashed, maybe, false, "the process ended while the mail was being handed over: it may have been sent, so it is not repeated"},
		{NoAnswer, maybe, false, "the provider gave no clear answer: it may have been sent, so it is not repeated"},
	}
}

// Reasons lists every reason that goes with a state, in the order of the docs.
func Reasons(s State) []Reason {
	var rs []Reason
	for _, t := range reasonTable() {
		if slices.Contains(t.states, s) {
			rs = append(rs, t.reason)
		}
	}
	return rs
}

// Sentence says a reason for people; "" for no reason.
func (r Reason) Sentence() string {
	for _, t := range reasonTable() {
		if t.reason == r {
			return t.sentence
		}
	}
	return string(r)
}

func (r Reason) exits() bool {
	for _, t := range reasonTable() {
		if t.reason == r {
			return t.exits
		}
	}
	return false
}
