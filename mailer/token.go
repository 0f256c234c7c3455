package mailer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"hash"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
)

// Key signs tokens. ID is of letters, digits, _ and -, and never reused.
type Key struct {
	ID     string
	Secret []byte
}

// Keys is the list of keys, newest first: Keys[0] signs, all verify. A key that ever signed stays in the list, since
// unsubscribe links never expire.
type Keys []Key

// purpose is the one thing that a token is good for. It begins the token and enters the signature: a token of one purpose
// is noise to every other.
type purpose string

const (
	forUnsubscribe purpose = "u1"
	forClick       purpose = "c1" // leads on; opens nothing
	forCart        purpose = "k1"
	forLanding     purpose = "l1"
	forPreferences purpose = "p1"
	forConfirm     purpose = "s1" // says yes to what was asked: double opt-in
)

// label is what the signature begins with.
func (p purpose) label() string {
	if p == forUnsubscribe {
		return "relance unsubscribe\x00" // as the first release signed
	}
	return "relance " + string(p) + "\x00"
}

// expires tells purposes whose tokens end. What shows somebody's things ends; a wish to get no more mail never does, and
// an old mail's links lead where they led.
func (p purpose) expires() bool { return p != forUnsubscribe && p != forClick }

// macBytes is the length of the signature: 160 bits as the first release, 128 bits for the others, which stand in every
// link of a mail.
func (p purpose) macBytes() int {
	if p == forUnsubscribe {
		return 20
	}
	return 16
}

var (
	// errToken does not say what is wrong with a token: whoever made it up need not know.
	errToken   = errors.New("the link is not valid")
	errExpired = errors.New("the link has expired")
	errNoKey   = errors.New("signing a link: there is no key")
)

// sign makes "<purpose>.<key>[.<end of validity>].<body>.<mac>" with the newest key. body is of letters, digits, _, - and
// full stops, and so is the token: nothing in it that a mail program cuts a link at, and its end is a letter or a digit.
// until is the end of validity, rounded down to seconds, of purposes that expire. Errors only when there is no key.
func (k Keys) sign(p purpose, until crm.Instant, body string) (string, error) {
	if len(k) == 0 {
		return "", errNoKey
	}
	b := k[0].begin(p)
	if p.expires() {
		b = append(strconv.AppendInt(b, int64(until)/1000, 36), '.')
	}
	return string(k[0].signer(p).finish(append(b, body...))), nil
}

// verify gives the body of a token that any of the keys signed for the purpose: errToken for any other, errExpired beside
// the body once it is no longer valid at now.
func (k Keys) verify(p purpose, token string, now crm.Instant) (body string, err error) {
	dot := strings.LastIndexByte(token, '.')
	rest, ok := strings.CutPrefix(token[:max(dot, 0)], string(p)+".")
	if !ok {
		return "", errToken
	}
	id, body, ok := strings.Cut(rest, ".")
	if !ok {
		return "", errToken
	}
	for _, key := range k {
		if key.ID != id || !hmac.Equal(key.signer(p).finish([]byte(token[:dot])), []byte(token)) {
			continue
		}
		if !p.expires() {
			return body, nil
		}
		raw, rest, _ := strings.Cut(body, ".")
		until, err := strconv.ParseInt(raw, 36, 64)
		switch {
		case err != nil:
			return "", errToken
		case now.Time().Unix() >= until:
			return rest, errExpired
		}
		return rest, nil
	}
	return "", errToken
}

// begin is how a token of this key begins.
func (k Key) begin(p purpose) []byte {
	b := make([]byte, 0, 256)
	b = append(append(b, p...), '.')
	return append(append(b, k.ID...), '.')
}

// signer signs many tokens of one purpose with one key. Not for concurrent use.
type signer struct {
	label   []byte
	bytes   int
	hash    hash.Hash
	letters *base32.Encoding
	sum     []byte
}

func (k Key) signer(p purpose) *signer {
	return &signer{
		label: []byte(p.label()), bytes: p.macBytes(), hash: hmac.New(sha256.New, k.Secret), sum: make([]byte, 0, sha256.Size),
		letters: base32.StdEncoding.WithPadding(base32.NoPadding),
	}
}

// finish appends the signature to a token that lacks only that: lower-case letters and digits, so that no mail program cuts
// the link at a sign.
func (s *signer) finish(token []byte) []byte {
	s.hash.Reset()
	s.hash.Write(s.label)
	s.hash.Write(token)
	s.sum = s.hash.Sum(s.sum[:0])
	body := len(token)
	token = s.letters.AppendEncode(append(token, '.'), s.sum[:s.bytes])
	for i := body; i < len(token); i++ {
		if 'A' <= token[i] && token[i] <= 'Z' {
			token[i] |= 0x20
		}
	}
	return token
}

// TopicMarketing is the topic of consent that marketing campaigns need.
const TopicMarketing = "marketing"

// Subject is whom and what an unsubscribe token is about. It says nothing that a stranger could read a person from.
type Subject struct {
	ContactID  int64
	AudienceID int64
	Topic      string
}

// Token signs a subject: "u1.<key>.<contact>.<audience>.<topic>.<mac>", without end of validity. Errors only when there
// is no key.
func (k Keys) Token(s Subject) (string, error) {
	return k.sign(forUnsubscribe, 0, number(s.ContactID)+"."+number(s.AudienceID)+"."+s.Topic)
}

// Verify reads an unsubscribe token that any of the keys signed.
func (k Keys) Verify(token string) (Subject, error) {
	body, err := k.verify(forUnsubscribe, token, 0)
	if err != nil {
		return Subject{}, err
	}
	parts := strings.Split(body, ".")
	if len(parts) != 3 {
		return Subject{}, errToken
	}
	var s Subject
	if !numbers(parts, &s.ContactID, &s.AudienceID) {
		return Subject{}, errToken
	}
	s.Topic = parts[2]
	return s, nil
}

// number writes an id as tokens do.
func number(id int64) string { return strconv.FormatInt(id, 36) }

// numbers reads the ids that parts begin with.
func numbers(parts []string, into ...*int64) bool {
	if len(parts) < len(into) {
		return false
	}
	for i, id := range into {
		var err error
		if *id, err = strconv.ParseInt(parts[i], 36, 64); err != nil {
			return false
		}
	}
	return true
}
