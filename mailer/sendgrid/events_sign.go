package sendgrid

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
)

// EventKey is the public key by which SendGrid's Event Webhook is recognised. The zero EventKey recognises nothing.
type EventKey struct{ key *ecdsa.PublicKey }

// ParseEventKey reads a key as SendGrid shows it: base64 of a PKIX public key. The helper would panic on a key of another
// kind, so what it is asked to read is looked at first.
func ParseEventKey(text string) (EventKey, error) {
	text = strings.Join(strings.Fields(text), "")
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(der) == 0 {
		return EventKey{}, errors.New("this is no base64 of a public key")
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return EventKey{}, errors.New("this is no public key")
	}
	if _, ok := public.(*ecdsa.PublicKey); !ok {
		return EventKey{}, errors.New("this is a public key of another kind than SendGrid's (ECDSA)")
	}
	key, err := eventwebhook.ConvertPublicKeyBase64ToECDSA(text)
	return EventKey{key}, err
}

var (
	errUnsigned  = errors.New("the request is not signed")
	errSignature = errors.New("the signature is not of this key")
)

// Verify tells whether SendGrid signed this very body. How old the signature is does not matter: SendGrid repeats for 24
// hours and more what it could not deliver, and a repeat changes nothing here.
func (k EventKey) Verify(h http.Header, body []byte) error {
	signatures, stamps := h.Values(eventwebhook.VerificationHTTPHeader), h.Values(eventwebhook.TimestampHTTPHeader)
	if k.key == nil || len(signatures) != 1 || len(stamps) != 1 || signatures[0] == "" || stamps[0] == "" {
		return errUnsigned
	}
	// The helper overlooks what follows the signature's two numbers, and takes absent ones for numbers.
	raw, err := base64.StdEncoding.DecodeString(signatures[0])
	if err != nil {
		return errSignature
	}
	var numbers eventwebhook.RS
	rest, err := asn1.Unmarshal(raw, &numbers)
	if err != nil || len(rest) > 0 || numbers.R == nil || numbers.S == nil || numbers.R.Sign() <= 0 || numbers.S.Sign() <= 0 {
		return errSignature
	}
	if ok, err := eventwebhook.VerifySignature(k.key, body, signatures[0], stamps[0]); err != nil || !ok {
		return errSignature
	}
	return nil
}
