package rule

import (
	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Condition is exactly one of its fields.
type Condition struct {
	All          []Condition   `yaml:"all,omitempty"`
	Any          []Condition   `yaml:"any,omitempty"`
	Not          *Condition    `yaml:"not,omitempty"`
	Bought       *Bought       `yaml:"bought,omitempty"`
	LastPurchase *LastPurchase `yaml:"last_purchase,omitempty"`
	OpenCart     *OpenCart     `yaml:"open_cart,omitempty"`
	Registered   *Registered   `yaml:"registered,omitempty"`
	Country      List          `yaml:"country,omitempty"`
	Locale       List          `yaml:"locale,omitempty"`
	Consent      *Consent      `yaml:"consent,omitempty"`
}

// Bought compares how much was bought with bounds. Without a bound it means at least one order.
type Bought struct {
	AtLeast Bound   `yaml:"at_least,omitempty"`
	AtMost  Bound   `yaml:"at_most,omitempty"`
	Exactly Bound   `yaml:"exactly,omitempty"`
	Of      string  `yaml:"of,omitempty"` // orders (default) or quantity; an amount says so itself: "100 EUR"
	Within  Length  `yaml:"within,omitempty"`
	Between *Period `yaml:"between,omitempty"`
	Goods   `yaml:",inline"`
}

// Goods narrows purchases down to lines; a line counts when every list that is given has it.
type Goods struct {
	Product  List `yaml:"product,omitempty"`  // ids of the platform
	SKU      List `yaml:"sku,omitempty"`      // as written in the shop
	Category List `yaml:"category,omitempty"` // ids or slugs; a category holds those below it
}

// LastPurchase looks at the newest order that counts as a sale.
type LastPurchase struct {
	OlderThan Length `yaml:"older_than,omitempty"`
	NewerThan Length `yaml:"newer_than,omitempty"`
	Goods     `yaml:",inline"`
}

// OpenCart asks for one cart that is open and fulfils all of it. {} is any open cart.
type OpenCart struct {
	IdleFor     Length `yaml:"idle_for,omitempty"`
	YoungerThan Length `yaml:"younger_than,omitempty"` // since its last activity, too
	AtLeast     Bound  `yaml:"at_least,omitempty"`     // an amount
}

// Registered asks when the contact opened an account, or whether ever.
type Registered struct {
	Within    Length `yaml:"within,omitempty"`
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

// Length is a span of time as written: 30m, 1h, 60d, 6w, 1d12h.
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
	text, err := scalar(n, "a length of time such as 30m, 1h, 60d or 6w")
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
