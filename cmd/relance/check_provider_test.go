package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/mailer/mailertest"
)

const smtpPassword = "hunter2222SECRET"

// providing writes a relance.yaml with one audience that sends in some way.
func (r *rig) providing(block string) {
	r.t.Helper()
	text := "public_url: \"\"\naudiences:\n  default:\n    from: bonjour@boutique.example\n    postal_address: 1 rue de la Paix\n" + block
	if err := os.WriteFile(filepath.Join(r.dir, "relance.yaml"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func TestCheckAsksTheMailServerWithoutSending(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		configure func(s *mailertest.MailServer)
		ca        bool
		code      int
		want      []string
	}{
		"all is well":     {nil, true, exitOK, []string{"audience default", "ok    mails", "over TLS and takes our user and password."}},
		"wrong password":  {func(s *mailertest.MailServer) { s.Login = "apikey\x00another" }, true, exitFailure, []string{"WRONG mails", "logging in, it answered 535", "Correct user and password."}},
		"no STARTTLS":     {func(s *mailertest.MailServer) { s.Without = []string{"STARTTLS"} }, true, exitFailure, []string{"does not offer STARTTLS", "set tls: implicit"}},
		"own authority":   {nil, false, exitFailure, []string{"certificate cannot be verified", "ca_file"}},
		"it is not there": {func(s *mailertest.MailServer) { s.On = func(string, string, int) string { return mailertest.Cut } }, true, exitFailure, []string{"greeting it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := mailertest.Serve(t, false, c.configure)
			r := newRig(t)
			block := fmt.Sprintf("    provider: smtp\n    smtp: {host: %s, port: %d, user: apikey, password: %s", s.Host, s.Port, smtpPassword)
			if c.ca {
				block += ", ca_file: " + s.CAFile
			}
			r.providing(block + "}\n")
			code, out, errs := r.run("check")
			if code != c.code || strings.Contains(out+errs, smtpPassword) {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			wants(t, out, c.want...)
			if strings.Contains(strings.Join(s.Talks(), "\n"), "MAIL") {
				t.Error("it began a mail")
			}
			var answer checked
			if _, out, _ := r.run("check", "--json"); json.Unmarshal([]byte(out), &answer) != nil || answer.Audiences["default"].OK != (c.code == exitOK) {
				t.Errorf("%+v", answer)
			}
			opened := s.Opened()
			if r.must("check", "--offline"); s.Opened() != opened {
				t.Error("--offline asks")
			}
		})
	}
}

func TestCheckAsksSendGridWhatTheKeyMayDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code   int
		answer string
		exit   int
		want   []string
	}{
		"may send":  {200, `{"scopes":["mail.send"]}`, exitOK, []string{"ok    mails", "may send."}},
		"may not":   {200, `{"scopes":["alerts.read"]}`, exitFailure, []string{"WRONG mails", "the key may not send mails", "permission Mail Send"}},
		"wrong key": {401, `{"errors":[{"message":"SG.test1234567890"}]}`, exitFailure, []string{"WRONG mails", "401", "Check that the API key exists"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Method != http.MethodGet {
					t.Error("a mail was sent")
				}
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.answer)
			}))
			t.Cleanup(srv.Close)
			r := newRig(t)
			r.providing("    provider: sendgrid\n    sendgrid: {api_key: SG.test1234567890, base_url: \"" + srv.URL + "\"}\n")
			code, out, errs := r.run("check")
			if code != c.exit || strings.Contains(out+errs, "SG.test") {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
			wants(t, out, c.want...)
		})
	}
}

func TestCheckSaysWhatTheMailServersBlockLacks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.providing("    provider: smtp\n    smtp:\n      user: apikey\n      tls: none\n")
	code, _, errs := r.run("check")
	if code != exitUsage {
		t.Errorf("exit %d", code)
	}
	wants(t, errs, "relance.yaml:7:5: there is no mail server", "smtp.host:", "relance.yaml:7:5: there is a user and no password", "2 mistakes")
}
