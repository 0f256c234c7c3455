package mailer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strconv"
	"strings"
)

// Key signs tokens. ID is of letters, digits, _ and -, and never reused.
type Key struct {
	ID     string
	Secret []byte
}

// Keys is the list of keys, newest first: Keys[0] signs, all verify. A key that ever signed stays in the list, since
// unsubscribe links never expire.
type Keys []Key

// TopicMarketing is the topic of consent that marketing campaigns need.
const TopicMarketing = "marketing"

// Subject is whom and what a token is about. It says nothing that a stranger could read a person from.
type Subject struct {
	ContactID  int64
	AudienceID int64
	Topic      string
}

// errToken does not say what is wrong with a token: whoever made it up need not know.
var errToken = errors.New("the link is not valid")

const tokenVersion = "u1"

// Token signs a subject: "u1.<key>.<contact>.<audience>.<topic>.<mac>", URL-safe, without end of validity.
// Errors only when there is no key.
func (k Keys) Token(s Subject) (string, error) {
	if len(k) == 0 {
		return "", errors.New("signing an unsubscribe link: there is no key")
	}
	body := strings.Join([]string{tokenVersion, k[0].ID, strconv.FormatInt(s.ContactID, 36), strconv.FormatInt(s.AudienceID, 36), s.Topic}, ".")
	return body + "." + k[0].mac(body), nil
}

// Verify reads a token that any of the keys signed.
func (k Keys) Verify(token string) (Subject, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 6 || parts[0] != tokenVersion {
		return Subject{}, errToken
	}
	body := strings.Join(parts[:5], ".")
	for _, key := range k {
		if key.ID != parts[1] || !hmac.Equal([]byte(key.mac(body)), []byte(parts[5])) {
			continue
		}
		contact, err := strconv.ParseInt(parts[2], 36, 64)
		audience, err2 := strconv.ParseInt(parts[3], 36, 64)
		if err != nil || err2 != nil {
			return Subject{}, errToken
		}
		return Subject{ContactID: contact, AudienceID: audience, Topic: parts[4]}, nil
	}
	return Subject{}, errToken
}

// mac is 160 bits in lower-case letters and digits, so that no mail program cuts the link at a sign.
func (k Key) mac(body string) string {
	h := hmac.New(sha256.New, k.Secret)
	h.Write([]byte("relance unsubscribe\x00" + body))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:20]))
}
