package woocommerce

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

const (
	headerTopic     = "X-WC-Webhook-Topic"
	headerSignature = "X-WC-Webhook-Signature"
)

// Verify checks the signature over the raw bytes (connectors.Hinter). WooCommerce sends an unsigned ping, a form, when a
// webhook is saved, and again until it gets exactly 200. A refusal is a fault of class reject.
func (s *Source) Verify(h http.Header, body []byte) (ping bool, err error) {
	if isPing(h, body) {
		return true, nil
	}
	const op = "woocommerce: verify webhook"
	if s.hook == "" {
		return false, &fault.Error{
			Class: fault.Reject, Op: op, Err: errors.New("no webhook_secret is configured"),
			Hint: "Put the secret of the shop's webhooks into its file.",
		}
	}
	sent, err := base64.StdEncoding.DecodeString(h.Get(headerSignature))
	if err != nil || len(sent) == 0 {
		return false, fault.New(fault.Reject, op, errors.New("it has no signature"))
	}
	mac := hmac.New(sha256.New, []byte(s.hook))
	mac.Write(body)
	if !hmac.Equal(sent, mac.Sum(nil)) {
		return false, fault.New(fault.Reject, op, errors.New("the signature does not match"))
	}
	return false, nil
}

func isPing(h http.Header, body []byte) bool {
	for name := range h {
		if strings.HasPrefix(http.CanonicalHeaderKey(name), "X-Wc-") {
			return false
		}
	}
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	id, ok := strings.CutPrefix(string(body), "webhook_id=")
	return err == nil && t == "application/x-www-form-urlencoded" && ok && len(id) < 20 && strings.Trim(id, "0123456789") == ""
}

// decodedSecret does what WooCommerce does before it signs: a secret with &amp; signs as &.
func decodedSecret(s string) string {
	return strings.NewReplacer(
		"&amp;", "&", "&#038;", "&", "&#38;", "&", "&#x26;", "&",
		"&quot;", `"`, "&#034;", `"`, "&#34;", `"`, "&#x22;", `"`,
		"&#039;", "'", "&#39;", "'", "&#x27;", "'",
		"&lt;", "<", "&#060;", "<", "&#60;", "<", "&#x3C;", "<", "&#x3c;", "<",
		"&gt;", ">", "&#062;", ">", "&#62;", ">", "&#x3E;", ">", "&#x3e;", ">",
	).Replace(s)
}

// Decode names what to re-read (connectors.Hinter). Bodies are ignored beyond their id: they are built when the delivery
// leaves, not when the event happened, and can be error bodies.
func (s *Source) Decode(h http.Header, body []byte) []crm.Ref {
	resource, event, ok := strings.Cut(h.Get(headerTopic), ".")
	if !ok {
		return nil
	}
	if resource == "action" {
		arg := identOf(lenient.Field(body, "arg")) // an argument that is no id names nothing
		if event == "woocommerce_delete_order" && arg != "" {
			return []crm.Ref{{Kind: crm.KindOrder, ID: arg}}
		}
		return nil
	}
	id := identOf(lenient.Field(body, "id"))
	if id == "" {
		return nil
	}
	switch {
	case resource == "order":
		return []crm.Ref{{Kind: crm.KindOrder, ID: id}}
	case resource == "customer":
		return []crm.Ref{{Kind: crm.KindCustomer, ID: id}}
	case event == "deleted" && (resource == "product" || resource == "coupon"):
		// Up to 11.1 the bin fires the topics of other kinds: an order's id comes as product.deleted and coupon.deleted.
		return []crm.Ref{{Kind: crm.KindProduct, ID: id}, {Kind: crm.KindOrder, ID: id}}
	case resource == "product":
		return []crm.Ref{{Kind: crm.KindProduct, ID: cmp.Or(parentOf(body), id)}}
	}
	return nil
}

// parentOf is the product that a variation belongs to, "" for what is no variation.
func parentOf(body []byte) string {
	if lenient.Scalar(lenient.Field(body, "type")) != typeVariation {
		return ""
	}
	return identOf(lenient.Field(body, "parent_id"))
}

// identOf is "" for what is no id.
func identOf(value json.RawMessage) string {
	var id ident
	if id.UnmarshalJSON(value) != nil {
		return ""
	}
	return string(id)
}
