package magento

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/dghubble/oauth1"
)

// credentials sign requests: with the token alone, or by OAuth 1.0a with HMAC-SHA256, the one method that every Magento
// from 2.3.0 on accepts.
type credentials struct {
	bearer string
	oauth  *oauth1.Config
	token  *oauth1.Token
	// other: the shop verifies against the other scheme than the one it is asked by, because the proxy before it does not
	// say that it was asked by https.
	other atomic.Bool
}

func newCredentials(c Config) *credentials {
	if !c.oauth() {
		return &credentials{bearer: c.Token}
	}
	return &credentials{
		oauth: &oauth1.Config{
			ConsumerKey: c.ConsumerKey, ConsumerSecret: c.ConsumerSecret,
			Signer: &oauth1.HMAC256Signer{ConsumerSecret: c.ConsumerSecret}, Noncer: noncer{},
		},
		token: oauth1.NewToken(c.Token, c.TokenSecret),
	}
}

// noncer makes nonces of 32 characters: Magento's column holds no more.
type noncer struct{}

// Nonce implements oauth1.Noncer.
func (noncer) Nonce() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: the program ends where there is no randomness
	return hex.EncodeToString(b)
}

// sign is asked once per try: Magento refuses a nonce that it has seen.
func (c *credentials) sign(r *http.Request) error {
	if c.oauth == nil {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
		return nil
	}
	target := *r.URL
	if c.other.Load() {
		target.Scheme = map[string]string{"http": "https", "https": "http"}[target.Scheme]
	}
	header, err := c.authorization(r.Context(), r.Method, &target)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", header)
	return nil
}

// authorization lets the library sign a request that goes nowhere: it signs in a transport only.
func (c *credentials) authorization(ctx context.Context, method string, u *url.URL) (string, error) {
	var kept capture
	ctx = context.WithValue(ctx, oauth1.HTTPClient, &http.Client{Transport: &kept})
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil) //nolint:gosec // it goes nowhere
	if err != nil {
		return "", err
	}
	resp, err := c.oauth.Client(ctx, c.token).Transport.RoundTrip(req)
	if err != nil {
		return "", err
	}
	return kept.header, resp.Body.Close()
}

type capture struct{ header string }

// RoundTrip implements http.RoundTripper.
func (c *capture) RoundTrip(r *http.Request) (*http.Response, error) {
	c.header = r.Header.Get("Authorization")
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
