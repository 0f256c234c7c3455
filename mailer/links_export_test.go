package mailer

import (
	"time"

	"github.com/relance/relance/internal/crm"
)

// RewriteHTML gives each link to change.
func RewriteHTML(page string, change func(string) (string, bool)) string {
	return rewriteHTML(page, change)
}

// RewriteText gives each address to change.
func RewriteText(text string, change func(string) (string, bool)) string {
	return rewriteText(text, change)
}

// Marked is the address with what a campaign's links to a shop carry.
func Marked(s UTMSpec, campaign, content, shop, address string) string {
	return newUTM(s, campaign, content, shop).add(address)
}

// Tracked leads the links of a mail of the send through the redirect; keys may be nil.
func Tracked(keys Keys, publicURL, shop string, sendID int64, m Mail) Mail {
	t := tracker{ours: publicURL, utm: newUTM(UTMSpec{}, "win_back", "second", shop)}
	if len(keys) > 0 {
		t.signer = newClickSigner(keys[0], sendID)
	}
	t.rewrite(&m)
	return m
}

// PlaceToken signs a landing link.
func (k Keys) PlaceToken(sendID, contactID, shopID int64, cartID string, now time.Time) (string, error) {
	return k.placeToken(place{sendID, contactID, shopID, cartID}, crm.At(now))
}

// VerifyAs reads a token as one of each purpose and says which take it.
func (k Keys) VerifyAs(token string, now time.Time) (taken []string) {
	for _, p := range []purpose{forUnsubscribe, forClick, forCart, forLanding} {
		if _, err := k.verify(p, token, crm.At(now)); err == nil {
			taken = append(taken, string(p))
		}
	}
	return taken
}

// LinkLife is how long a link to a cart and one to the page work.
func LinkLife() (cart, page time.Duration) { return cartLinkLasts, landingLinkLasts }

// OpensCart tells a platform's own recovery link.
func OpensCart(platform, address string) bool { return opensCart(platform, address) }
