package deliverability

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
)

// selectors are the names under which keys are looked for.
func selectors(s Sender) []string {
	switch {
	case len(s.Selectors) > 0:
		return s.Selectors
	case s.Via == "sendgrid":
		return []string{"s1", "s2", "m1"}
	}
	return []string{"default", "mail", "dkim", "s1", "s2", "k1", "google", "selector1", "selector2", "key1", "smtp"}
}

// dkim looks for the public key that receivers check signatures with.
func (d DNS) dkim(ctx context.Context, domain string, s Sender) Finding {
	var tried []string
	for _, selector := range selectors(s) {
		name := selector + "._domainkey." + domain
		tried = append(tried, selector)
		records, err := d.texts(ctx, name)
		if err != nil {
			return unknown("dkim", name, err)
		}
		for _, r := range records {
			if tags := tagsOf(r); tags["p"] != "" || strings.Contains(r, "p=") {
				return keyFinding(name, r, tags)
			}
		}
	}
	f := Finding{
		Check: "dkim", Standing: Bad,
		Says: fmt.Sprintf("No DKIM key of %s was found (looked for %s): receivers cannot tell your mails from forged ones.", domain, strings.Join(tried, ", ")),
		Do:   "Have your mail server sign, and publish its key; or name its selector: --selector NAME",
	}
	if s.Via == "sendgrid" {
		f.Do = "Authenticate the domain at SendGrid (Settings, Sender Authentication) and add the three CNAME records it shows."
	}
	return f
}

func keyFinding(name, record string, tags map[string]string) Finding {
	f := Finding{Check: "dkim", Standing: Good, Record: clipped(record), Says: fmt.Sprintf("The key at %s lets receivers check signatures.", name)}
	if tags["p"] == "" {
		f.Standing, f.Says, f.Do = Bad, fmt.Sprintf("The key at %s was revoked.", name), "Publish the key that is in use, or sign with another selector."
		return f
	}
	bits, err := keyBits(tags)
	switch {
	case err != nil:
		f.Standing, f.Says, f.Do = Bad, fmt.Sprintf("The key at %s cannot be read: %v.", name, err), "Publish it again; it was probably cut."
	case bits < 1024:
		f.Standing, f.Says, f.Do = Bad, fmt.Sprintf("The key at %s has %d bits; receivers ignore it.", name, bits), "Make a key of 2048 bits."
	case bits < 2048:
		f.Standing, f.Says, f.Do = Warning, fmt.Sprintf("The key at %s has %d bits, which is little by now.", name, bits), "Make a key of 2048 bits when there is occasion to."
	case strings.Contains(tags["t"], "y"):
		f.Standing, f.Says, f.Do = Warning, fmt.Sprintf("The key at %s says that it is for testing (t=y).", name), "Remove t=y."
	}
	return f
}

// keyBits is the strength of a key as RSA counts it.
func keyBits(tags map[string]string) (int, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(tags["p"], " ", ""))
	if err != nil {
		return 0, fmt.Errorf("it is not base64")
	}
	if tags["k"] == "ed25519" {
		if len(raw) != ed25519.PublicKeySize {
			return 0, fmt.Errorf("it has %d bytes", len(raw))
		}
		return 3072, nil // of the same strength
	}
	if key, err := x509.ParsePKIXPublicKey(raw); err == nil {
		if r, ok := key.(*rsa.PublicKey); ok {
			return r.N.BitLen(), nil
		}
		return 0, fmt.Errorf("it is no RSA key")
	}
	if key, err := x509.ParsePKCS1PublicKey(raw); err == nil {
		return key.N.BitLen(), nil
	}
	return 0, fmt.Errorf("it is no key")
}

// tagsOf takes "v=DKIM1; k=rsa; p=…" apart.
func tagsOf(record string) map[string]string {
	tags := map[string]string{}
	for part := range strings.SplitSeq(record, ";") {
		if name, value, ok := strings.Cut(part, "="); ok {
			tags[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
		}
	}
	return tags
}

func clipped(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
