package mailer_test

import (
	"testing"

	"github.com/relance/relance/mailer"
)

// A link that was mailed years ago must read the same today: this one was signed by the first release.
func TestUnsubscribeTokensStayAsTheyWere(t *testing.T) {
	t.Parallel()
	keys := mailer.Keys{{ID: "k1", Secret: []byte("a secret of the tests")}}
	subject := mailer.Subject{ContactID: 81985529216486895, AudienceID: 36, Topic: mailer.TopicMarketing}
	const golden = "u1.k1.mf9g063v08f.10.marketing.omnays3oadulc7lon52qqxi6ycutb7gt"
	if got := must(keys.Token(subject))(t); got != golden {
		t.Errorf("it is %s now", got)
	}
	if got := must(keys.Verify(golden))(t); got != subject {
		t.Errorf("it reads as %+v", got)
	}
}
