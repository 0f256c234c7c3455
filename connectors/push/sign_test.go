package push_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors/push"
)

const (
	oldSecret = "an old secret of more than thirty-two bytes"
	newSecret = "the new secret of more than thirty-two bytes"
)

func TestASignatureOfEitherSecretHoldsForFiveMinutes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	body := []byte(`{"records":[]}`)
	header := func(secret string, at time.Time) http.Header {
		timestamp, signature := push.Sign(secret, at, body)
		return http.Header{push.HeaderTimestamp: {timestamp}, push.HeaderSignature: {signature}}
	}
	changed := func(name, value string) http.Header {
		h := header(newSecret, now)
		h.Set(name, value)
		return h
	}
	good := header(newSecret, now).Get(push.HeaderSignature)
	for name, c := range map[string]struct {
		h    http.Header
		body string
		ok   bool
	}{
		"new secret":           {header(newSecret, now), "", true},
		"old secret":           {header(oldSecret, now), "", true},
		"with its prefix":      {changed(push.HeaderSignature, "sha256="+good), "", true},
		"capital letters":      {changed(push.HeaderSignature, strings.ToUpper(good)), "", true},
		"five minutes late":    {header(newSecret, now.Add(-5*time.Minute)), "", true},
		"older":                {header(newSecret, now.Add(-5*time.Minute-time.Second)), "", false},
		"from the future":      {header(newSecret, now.Add(5*time.Minute+time.Second)), "", false},
		"another secret":       {header("somebody else's secret, long enough too", now), "", false},
		"no secret at all":     {header("", now), "", false},
		"another body":         {header(newSecret, now), `{"records": []}`, false},
		"another timestamp":    {changed(push.HeaderTimestamp, "1764000001"), "", false},
		"milliseconds":         {changed(push.HeaderTimestamp, "1764000001000000"), "", false},
		"timestamp of nothing": {changed(push.HeaderTimestamp, "-1"), "", false},
		"half a signature":     {changed(push.HeaderSignature, good[:32]), "", false},
		"not hexadecimal":      {changed(push.HeaderSignature, strings.Repeat("z", 64)), "", false},
		"unsigned":             {http.Header{}, "", false},
	} {
		sent := body
		if c.body != "" {
			sent = []byte(c.body)
		}
		err := push.Verify([]string{newSecret, oldSecret}, c.h, sent, now)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret of more") {
			t.Errorf("%s: a secret is shown", name)
		}
	}
	if push.Verify(nil, header("", now), body, now) == nil {
		t.Error("a shop without secrets takes what is signed with none")
	}
}

func TestConfigRefusesWeakSecretsAndShowsNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		secrets []string
		path    string // "" = sound
	}{
		"one":      {[]string{newSecret}, ""},
		"two":      {[]string{newSecret, oldSecret}, ""},
		"none":     {nil, "$.secrets"},
		"three":    {[]string{newSecret, oldSecret, newSecret + "3"}, "$.secrets"},
		"short":    {[]string{newSecret, "secret"}, "$.secrets[1]"},
		"empty":    {[]string{""}, "$.secrets[0]"},
		"the same": {[]string{newSecret, newSecret}, "$.secrets[1]"},
		"newline":  {[]string{newSecret + "\n"}, "$.secrets[0]"},
	} {
		ps := push.Config{Secrets: c.secrets}.Validate()
		switch {
		case c.path == "" && len(ps) > 0, c.path != "" && (len(ps) != 1 || ps[0].Path != c.path):
			t.Errorf("%s: %+v", name, ps)
		}
		for _, p := range ps {
			if strings.Contains(p.Message+p.Want, newSecret) {
				t.Errorf("%s: a secret is shown", name)
			}
		}
	}
}
