package push

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed request.
const (
	HeaderTimestamp = "X-Relance-Timestamp" // when it was signed: whole seconds since 1970, UTC
	HeaderSignature = "X-Relance-Signature" // hex HMAC-SHA256 of timestamp + "." + body; "sha256=" may stand before it
)

// Window is how far a sender's clock may be from ours, in real time.
const Window = 5 * time.Minute

// Sign gives the two headers' values for a body sent at an instant.
func Sign(secret string, at time.Time, body []byte) (timestamp, signature string) {
	timestamp = strconv.FormatInt(at.Unix(), 10)
	return timestamp, hex.EncodeToString(sum(secret, timestamp, body))
}

// Verify returns nil when one of the secrets signed the body within Window of now (real time). Its errors are sentences
// for the sender; none tells how near a wrong signature was.
func Verify(secrets []string, h http.Header, body []byte, now time.Time) error {
	timestamp, given := h.Get(HeaderTimestamp), strings.TrimPrefix(h.Get(HeaderSignature), "sha256=")
	if timestamp == "" || given == "" {
		return errors.New("the request is not signed: it needs the headers " + HeaderTimestamp + " and " + HeaderSignature)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return errors.New(HeaderTimestamp + " is not a number of whole seconds since 1970")
	}
	mac, err := hex.DecodeString(given)
	if err != nil || len(mac) != sha256.Size {
		return errors.New(HeaderSignature + " is not a SHA-256 in hexadecimal")
	}
	signed := false
	for _, s := range secrets { // all of them, always: the time taken does not tell which one fits
		if hmac.Equal(mac, sum(s, timestamp, body)) && s != "" {
			signed = true
		}
	}
	if !signed {
		return errors.New("the signature is not one of this shop's secrets over the timestamp, a point and the body as sent")
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > Window || off < -Window {
		return errors.New("the signature is too old or from the future: is the sender's clock right?")
	}
	return nil
}

func sum(secret, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}
