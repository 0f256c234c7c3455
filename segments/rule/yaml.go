package rule

import (
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Condition is exactly one of its fields.
type Condition struct {
	All            []Condition     `yaml:"all,omitempty"`
	Any            []Condition     `yaml:"any,omitempty"`
	Not            *Condition      `yaml:"not,omitempty"`
	Bought         *Bought         `yaml:"bought,omitempty"`
	LastPurchase   *LastPurchase   `yaml:"last_purchase,omitempty"`
	FirstPurchase  *FirstPurchase  `yaml:"first_purchase,omitempty"`
	NthPurchase    *NthPurchase    `yaml:"nth_purchase,omitempty"`
	DaysBetween    *DaysBetween    `yaml:"days_between,omitempty"`
	BoughtWith     *BoughtWith     `yaml:"bought_with,omitempty"`
	NeverBought    *NeverBought    `yaml:"never_bought,omitempty"`
	OpenCart       *OpenCart       `yaml:"open_cart,omitempty"`
	RecoveredCart  *RecoveredCart  `yaml:"recovered_cart,omitempty"`
	AbandonedCarts *AbandonedCarts `yaml:"abandoned_carts,omitempty"`
	Registered     *Registered     `yaml:"registered,omitempty"`
	Country        List            `yaml:"country,omitempty"`
	Locale         List            `yaml:"locale,omitempty"`
	Consent        *Consent        `yaml:"consent,omitempty"`
	Region         List            `yaml:"region,omitempty"`
	City           List            `yaml:"city,omitempty"`
	Age            *Age            `yaml:"age,omitempty"`
	Birthday       *Birthday       `yaml:"birthday,omitempty"`
	Group          List            `yaml:"group,omitempty"`
	Shop           List            `yaml:"shop,omitempty"`
	Source         List            `yaml:"source,omitempty"`
	Attribute      *Attribute      `yaml:"attribute,omitempty"`
	Contactable    *bool           `yaml:"contactable,omitempty"`
	Bounced        *bool           `yaml:"bounced,omitempty"`
	Engaged        *Engaged        `yaml:"engaged,omitempty"`
	NotEngaged     *Engaged        `yaml:"not_engaged,omitempty"`
	Did            *Did            `yaml:"did,omitempty"`
	Opened         *Acts           `yaml:"opened,omitempty"`
	Clicked        *Acts           `yaml:"clicked,omitempty"`
	AtLeast        *Several        `yaml:"at_least,omitempty"`
	Segment        List            `yaml:"segment,omitempty"`
	Entered        *Passage        `yaml:"entered,omitempty"`
	Left           *Passage        `yaml:"left,omitempty"`
	Share          *Share          `yaml:"share,omitempty"`
	RFM            *RFM            `yaml:"rfm,omitempty"`
	Top            *Top            `yaml:"top,omitempty"`
	Bottom         *Top            `yaml:"bottom,omitempty"`
	NextPurchase   *NextPurchase   `yaml:"next_purchase,omitempty"`
	Overdue        *Overdue        `yaml:"overdue,omitempty"`
}

// Registered asks when the contact opened an account, or whether ever.
type Registered struct {
	Window    `yaml:",inline"`
	OlderThan Length `yaml:"older_than,omitempty"`
	Is        *bool  `yaml:"is,omitempty"`
}

// Consent is the state for a topic over a channel; a bare word is the state for marketing by e-mail.
type Consent struct {
	Topic   string `yaml:"topic,omitempty"`
	Channel string `yaml:"channel,omitempty"`
	State   string `yaml:"state"`
}

// Period is a window of civil days in the contact's zone: From is its first day, Before the first day after it.
type Period struct {
	From   string `yaml:"from,omitempty"`
	Before string `yaml:"before,omitempty"`
}

// Length is a span of time as written: fixed (30m, 1h, 60d, 6w, 1d12h) or by the contact's calendar (3mo, 1y, 1y6mo).
type Length string

// Bound is a count ("3") or an amount with its currency ("100 EUR") as written.
type Bound string

// List is one text or several.
type List []string

// UnmarshalYAML takes a number or a text.
func (b *Bound) UnmarshalYAML(n ast.Node) error {
	text, err := scalar(n, `a number such as 2 or an amount such as "100 EUR"`)
	*b = Bound(text)
	return err
}

// UnmarshalYAML takes a text or a number of seconds nobody meant; the check says so.
func (l *Length) UnmarshalYAML(n ast.Node) error {
	text, err := scalar(n, wantLength)
	*l = Length(text)
	return err
}

// UnmarshalYAML takes one value or a list of them.
func (l *List) UnmarshalYAML(n ast.Node) error {
	const want = "a value or a list of values"
	*l = List{}
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		text, err := scalar(n, want)
		*l = List{text}
		return err
	}
	for _, v := range seq.Values {
		text, err := scalar(v, want)
		if err != nil {
			return err
		}
		*l = append(*l, text)
	}
	return nil
}

// UnmarshalYAML takes a bare state or a mapping.
func (c *Consent) UnmarshalYAML(n ast.Node) error {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		type plain Consent
		return yaml.NodeToValue(n, (*plain)(c), yaml.Strict())
	}
	text, err := scalar(n, "granted, none, pending or withdrawn, or a mapping with topic and state")
	c.State = text
	return err
}

// scalar is the text of a plain value; a syntax error of goccy keeps the position.
func scalar(n ast.Node, want string) (string, error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.AnchorNode:
		return scalar(n.Value, want)
	case ast.ScalarNode:
		if n.Type() != ast.NullType {
			return n.GetToken().Value, nil
		}
	}
	return "", &yaml.SyntaxError{Message: "expected " + want, Token: firstToken(n)}
}

func firstToken(n ast.Node) *token.Token {
	if seq, ok := n.(*ast.SequenceNode); ok && seq.Start != nil {
		return seq.Start
	}
	return n.GetToken()
}
