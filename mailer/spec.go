package mailer

import (
	"encoding/json"
	"fmt"
)

// CampaignFile is a file of campaigns: immutable id → definition. config decodes it, Validate judges it.
type CampaignFile map[string]CampaignSpec

// CampaignSpec is one campaign as an agency writes it. Lengths of time are crm.ParseSpan texts ("1h", "7d").
type CampaignSpec struct {
	Title        string      `yaml:"title" json:"title,omitempty"`
	Kind         string      `yaml:"kind" json:"kind,omitempty"`         // marketing (default) | transactional
	Audience     string      `yaml:"audience" json:"audience,omitempty"` // default: "default"
	Trigger      TriggerSpec `yaml:"trigger" json:"trigger"`
	Occurrence   Occurrence  `yaml:"occurrence" json:"occurrence"`                   // default: once
	ExitWhenLeft *bool       `yaml:"exit_when_left" json:"exit_when_left,omitempty"` // default: true
	NotAfter     string      `yaml:"not_after" json:"not_after,omitempty"`           // default: 24h
	QuietHours   *QuietHours `yaml:"quiet_hours" json:"quiet_hours,omitempty"`       // default: none
	Holdout      int         `yaml:"holdout" json:"holdout,omitempty"`               // percent of contacts who get nothing, for comparison
	Steps        []StepSpec  `yaml:"steps" json:"steps"`
}

// TriggerSpec says what starts a campaign.
type TriggerSpec struct {
	Enters string `yaml:"enters" json:"enters"` // segment
}

// StepSpec is one step: exactly one of Wait and Send.
type StepSpec struct {
	ID   string    `yaml:"id" json:"id"`
	Wait string    `yaml:"wait" json:"wait,omitempty"`
	Send *SendSpec `yaml:"send" json:"send,omitempty"`
}

// SendSpec is what a step sends.
type SendSpec struct {
	Template string `yaml:"template" json:"template"`
}

// Ways in which a contact may take part more than once.
const (
	OccurrenceOnce  = "once" // once in a life
	OccurrenceEach  = "each" // at each entry, one run at a time
	OccurrenceCart  = "cart" // once per cart
	OccurrenceAgain = "again_after"
)

// Occurrence is written as once, each, cart or {again_after: 90d}.
type Occurrence struct {
	Mode       string // one of the constants, "" for the default, anything else is reported by Validate
	AgainAfter string // only with OccurrenceAgain
}

// UnmarshalYAML takes whatever is written; Validate says what is wrong with it, with its position.
func (o *Occurrence) UnmarshalYAML(unmarshal func(any) error) error {
	var raw any
	if err := unmarshal(&raw); err != nil {
		return err
	}
	o.set(raw)
	return nil
}

// UnmarshalJSON reads a stored definition.
func (o *Occurrence) UnmarshalJSON(text []byte) error {
	var raw any
	if err := json.Unmarshal(text, &raw); err != nil {
		return fmt.Errorf("reading an occurrence: %w", err)
	}
	o.set(raw)
	return nil
}

// MarshalJSON writes it as it is written in YAML.
func (o Occurrence) MarshalJSON() ([]byte, error) {
	if o.Mode == OccurrenceAgain {
		return json.Marshal(map[string]string{OccurrenceAgain: o.AgainAfter})
	}
	return json.Marshal(o.Mode)
}

func (o *Occurrence) set(raw any) {
	*o = Occurrence{}
	switch v := raw.(type) {
	case nil:
	case string:
		o.Mode = v
	case map[string]any:
		if span, ok := v[OccurrenceAgain].(string); ok && len(v) == 1 {
			*o = Occurrence{Mode: OccurrenceAgain, AgainAfter: span}
			return
		}
		o.Mode = fmt.Sprint(v)
	default:
		o.Mode = fmt.Sprint(v)
	}
}
