package mailer

import (
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
)

// Click is what a redirect link stands for: a link of a mail and where it leads.
type Click struct {
	SendID int64
	Link   int64  // number of the address within the mail, from 0; the same address has the same number
	Target string // http or https; "/l/…" for a page of our own
}

// Paths of the public listener that mails lead to.
const (
	clickPath       = "/c/"
	landingPath     = "/l/"
	unsubscribePath = "/u/"
	preferencesPath = "/p/"
)

// A target's first letter stands for how it begins, to keep links short.
const (
	targetHTTPS = 's'
	targetHTTP  = 'h'
	targetOurs  = 'l' // a landing page under whatever the public address is by then
)

// clickSigner signs the links of one mail.
type clickSigner struct {
	*signer
	begin []byte // up to the number of the link
}

func newClickSigner(k Key, sendID int64) *clickSigner {
	return &clickSigner{signer: k.signer(forClick), begin: append(strconv.AppendInt(k.begin(forClick), sendID, 36), '.')}
}

// token is "c1.<key>.<send>.<link>.<target>.<mac>"; kind and rest are the target taken apart.
func (s *clickSigner) token(link int, kind byte, rest string) []byte {
	b := make([]byte, 0, len(s.begin)+base64.RawURLEncoding.EncodedLen(len(rest))+40)
	b = append(strconv.AppendInt(append(b, s.begin...), int64(link), 36), '.', kind)
	return s.finish(base64.RawURLEncoding.AppendEncode(b, []byte(rest)))
}

// Click reads the token of a redirect link. It needs no database: a link works for as long as its key is kept.
// The error says nothing but that the token was not signed here.
func (k Keys) Click(token string) (Click, error) {
	body, err := k.verify(forClick, token, 0)
	if err != nil {
		return Click{}, err
	}
	parts := strings.Split(body, ".")
	var c Click
	if len(parts) != 3 || parts[2] == "" || !numbers(parts, &c.SendID, &c.Link) {
		return Click{}, errToken
	}
	rest, err := base64.RawURLEncoding.DecodeString(parts[2][1:])
	if err != nil {
		return Click{}, errToken
	}
	switch parts[2][0] {
	case targetHTTPS:
		c.Target = "https://" + string(rest)
	case targetHTTP:
		c.Target = "http://" + string(rest)
	case targetOurs:
		c.Target = landingPath + string(rest)
		return c, nil
	default:
		return Click{}, errToken
	}
	if u, err := url.Parse(c.Target); err != nil || u.Host == "" {
		return Click{}, errToken
	}
	return c, nil
}

// cutScheme takes an address apart; false for anything that is not http or https.
func cutScheme(address string) (kind byte, rest string, ok bool) {
	if rest, ok := cutFold(address, "https://"); ok {
		return targetHTTPS, rest, true
	}
	rest, ok = cutFold(address, "http://")
	return targetHTTP, rest, ok
}

// cutFold is strings.CutPrefix in either case; prefix is in lower case.
func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
