package mailer

import (
	"fmt"
)

// Ways in which a contact may take part more than once.
const (
	OccurrenceOnce  = "once"  // once in a life
	OccurrenceEach  = "each"  // at each trigger, one run at a time
	OccurrenceCart  = "cart"  // once per cart
	OccurrenceOrder = "order" // once per order: the one of the trigger, else the latest
	OccurrenceYear  = "year"  // once per calendar year of the contact
	OccurrenceAgain = "again_after"
)

// Occurrence is written as once, each, cart, order, year or {again_after: 90d}.
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
	*o = Occurrence{}
	switch v := raw.(type) {
	case nil:
	case string:
		o.Mode = v
	case map[string]any:
		if span, ok := v[OccurrenceAgain].(string); ok && len(v) == 1 {
			*o = Occurrence{Mode: OccurrenceAgain, AgainAfter: span}
			return nil
		}
		o.Mode = fmt.Sprint(v)
	default:
		o.Mode = fmt.Sprint(v)
	}
	return nil
}

// MarshalYAML writes it as it is written by people: for the stored definition.
func (o Occurrence) MarshalYAML() (any, error) {
	if o.Mode == OccurrenceAgain {
		return map[string]string{OccurrenceAgain: o.AgainAfter}, nil
	}
	return o.Mode, nil
}
