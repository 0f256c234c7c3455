package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/mailer/mailertest"
)

// buyer is the contact id of somebody who bought something in the recorded shop.
func (r *rig) buyer() string {
	r.t.Helper()
	r.edit("segments/abandoned_cart.yaml", "cart_left:", "everybody:\n  match: {bought: {at_least: 1}}\ncart_left:")
	r.must("sync", "--once")
	id, _, _ := strings.Cut(r.must("segment", "members", "everybody"), "\t")
	return strings.TrimSpace(id)
}

func TestMailsAreLookedAtAndTestedBeforeAnybodyGetsOne(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	id := r.buyer()
	out := r.must("campaign", "preview", "win_back", id)
	wants(t, out, "win_back, step we_miss_you (template win_back, fr)", "Subject ", "Preheader ", "To ", "  | ", "Links of the HTML part", "HTML part: ", "The gate would ", "Nothing was sent.")
	wants(t, r.must("campaign", "preview", "win_back", id, "--locale", "en"), ", en)")
	r.in = strings.NewReader(id + "\n")
	var a previewAnswer
	if err := json.Unmarshal([]byte(r.must("campaign", "preview", "win_back", "-", "--step", "we_miss_you", "--json")), &a); err != nil {
		t.Fatal(err)
	}
	if len(a.Mails) != 1 || a.Sent || a.State != "draft" || a.Mails[0].Gate == nil || len(a.Mails[0].Links) == 0 || a.Mails[0].HTML == "" {
		t.Errorf("%+v", a)
	}

	code, _, errs := r.run("campaign", "test-send", "win_back", id, "--to", "moi@agence.example")
	if code != exitUsage {
		t.Errorf("sent without being asked: exit %d", code)
	}
	wants(t, errs, "--yes")
	out = r.must("campaign", "test-send", "win_back", id, "--to", "moi@agence.example", "--yes")
	wants(t, out, "win_back, step we_miss_you, to moi@agence.example by outbox: [Test] ", "It is kept in the outbox", "The contact got nothing")
	kept, err := filepath.Glob(filepath.Join(r.dir, "outbox", "test-*"))
	if err != nil || len(kept) == 0 {
		t.Errorf("the outbox keeps %v, %v", kept, err)
	}
	var sent testSent
	if err := json.Unmarshal([]byte(r.must("campaign", "test-send", "win_back", id, "--to", "moi@agence.example", "--step", "goes_with_it", "--yes", "--json")), &sent); err != nil || sent.Step != "goes_with_it" {
		t.Errorf("%+v %v", sent, err)
	}
	wants(t, r.must("campaign", "list"), "no mail yet")
	for _, wrong := range [][]string{
		{"campaign", "preview", "win_back"},
		{"campaign", "preview", "winback", id},
		{"campaign", "preview", "win_back", id, "--step", "nothing"},
		{"campaign", "preview", "win_back", id, "--sample"},
		{"campaign", "test-send", "win_back", id, "--to", "nowhere", "--yes"},
		{"campaign", "test-send", "win_back", id},
	} {
		if code, out, errs := r.run(wrong...); code != exitUsage || out != "" || errs == "" {
			t.Errorf("%v: exit %d, %q, %q", wrong, code, out, errs)
		}
	}
}

func TestEveryCampaignThatComesAlongIsPreviewedWithMadeUpData(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must("init")
	for _, name := range []string{"win_back", "abandoned_cart", "birthday", "order_confirmation", "welcome"} {
		out := r.must("campaign", "preview", name, "--sample", "--locale", "fr")
		wants(t, out, name+", step ", ", fr)", "camille@example.com", "The data is made up.", "Nothing was sent.")
	}
	if _, err := os.Stat(filepath.Join(r.dir, "relance.db")); err == nil {
		t.Error("a preview of made-up data made a database")
	}
}

func TestMailsAreLaidOutForABrowserOrWhereThereIsNone(t *testing.T) {
	r := newRig(t)
	t.Setenv("TMPDIR", t.TempDir())
	r.must("init")
	out := r.must("campaign", "preview", "birthday", "--sample", "--browser")
	wants(t, out, "There is no display here. The files are in ")
	var a previewAnswer
	if err := json.Unmarshal([]byte(r.must("campaign", "preview", "birthday", "--sample", "--browser", "--json")), &a); err != nil || a.Opened {
		t.Fatal(a.Opened, err)
	}
	for _, ext := range []string{".html", ".txt"} {
		path := filepath.Join(a.Folder, a.Mails[0].Step+ext)
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v", path, err)
		}
	}
	programs, seen := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	for _, name := range []string{"xdg-open", "open"} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\necho \"$1\" >> "+seen+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	r.env["DISPLAY"] = ":7"
	wants(t, r.must("campaign", "preview", "birthday", "--sample", "--browser"), "The browser shows ")
	shown, err := os.ReadFile(seen)
	if err != nil || !strings.Contains(string(shown), ".html") {
		t.Errorf("%s %v", shown, err)
	}
}

func TestTextOfAPreviewFitsATerminalAndCommandsNone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("mot ", 60) + "https://boutique.example/" + strings.Repeat("x", 120)
	for line := range strings.SplitSeq(wrapped(long+"\n\nfin", "  | ", 40), "\n") {
		if len(line) > 40 && !strings.Contains(line, "https://") {
			t.Errorf("%d wide: %s", len(line), line)
		}
	}
	if got := harmless("a\x1b[2Jb\r\nc\u009bd"); got != "a[2Jb\ncd" {
		t.Errorf("%q", got)
	}
}

func TestATestMailGoesThroughTheRealProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	id := r.buyer()
	serve := func(configure func(*mailertest.MailServer)) *mailertest.MailServer {
		s := mailertest.Serve(t, false, configure)
		r.providing(fmt.Sprintf("    provider: smtp\n    smtp: {host: %s, port: %d, user: apikey, password: %s, ca_file: %s}\n", s.Host, s.Port, smtpPassword, s.CAFile))
		r.edit("relance.yaml", `public_url: ""`, "public_url: https://mail.boutique.example")
		return s
	}
	line := []string{"campaign", "test-send", "win_back", id, "--to", "moi@agence.example", "--yes"}
	s := serve(nil)
	wants(t, r.must(line...), "by smtp: [Test] ", "smtp took it.")
	talk := strings.Join(s.Talks(), "\n")
	if wants(t, talk, "RCPT TO:<moi@agence.example>"); strings.Count(talk, "RCPT TO:") != 1 {
		t.Error(talk)
	}
	serve(func(s *mailertest.MailServer) { s.Login = "apikey\x00another" })
	code, _, errs := r.run(line...)
	if code != exitFailure || strings.Contains(errs, smtpPassword) || strings.Contains(errs, "agence") {
		t.Errorf("exit %d: %s", code, errs)
	}
	wants(t, errs, "sending the test mail: ", "535", "Correct user and password")
	wants(t, r.must("campaign", "list"), "no mail yet")
}
