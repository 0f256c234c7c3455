package yeartest

// Mistake is something that goes wrong on purpose, to see that the judge notices it.
type Mistake int

// The mistakes. Each stands for one of the product, planted where the year meets it.
const (
	None          Mistake = iota
	TwiceHanded           // the provider is handed some mails twice
	DeafToConsent         // nobody has agreed, as far as is known
	ClockAhead            // contacts live nine hours further east
	CloneSends            // a copy of the database sends
)
