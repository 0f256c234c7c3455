package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
)

// previewAnswer is the answer of campaign preview --json. Version 1: keys may be added.
type previewAnswer struct {
	Version  int           `json:"version"`
	Campaign string        `json:"campaign"`
	State    string        `json:"state,omitempty"` // of the campaign
	Contact  int64         `json:"contact_id,omitempty"`
	Sample   bool          `json:"sample,omitempty"` // made-up data
	Sent     bool          `json:"sent"`             // false
	Mails    []previewMail `json:"mails"`
	Notes    []string      `json:"notes,omitempty"`
	Folder   string        `json:"folder,omitempty"` // --browser: where the files are
	Opened   bool          `json:"opened,omitempty"` // --browser: a browser was asked to show them

	keys mailer.Keys
}

// previewMail is one mail for people and programs.
type previewMail struct {
	Step      string            `json:"step"`
	Template  string            `json:"template,omitempty"`
	SendGrid  string            `json:"sendgrid_template,omitempty"` // SendGrid fills it in with data
	Data      map[string]any    `json:"data,omitempty"`
	Locale    string            `json:"locale,omitempty"`
	From      string            `json:"from"`
	ReplyTo   string            `json:"reply_to,omitempty"`
	To        string            `json:"to"`
	Subject   string            `json:"subject"`
	Preheader string            `json:"preheader,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Text      string            `json:"text"`
	HTML      string            `json:"html"`
	Links     []mailer.MailLink `json:"links,omitempty"`
	Code      bool              `json:"placeholder_code,omitempty"` // the coupon's code in it is none
	Gate      *mailer.Judgement `json:"gate,omitempty"`
	Failed    string            `json:"failed,omitempty"` // why there is no mail
}

func (a *previewAnswer) add(p mailer.Previewed) {
	m := p.Mail
	one := previewMail{
		Step: p.Step, Template: p.Template, SendGrid: m.TemplateID, Data: m.TemplateData, Locale: p.Locale, From: addressed(m.FromName, m.FromEmail), ReplyTo: m.ReplyTo,
		To: addressed(m.ToName, m.ToEmail), Subject: m.Subject, Preheader: m.Preheader(), Headers: m.Headers, Text: m.Text, HTML: m.HTML, Links: m.Links(a.keys), Code: p.Sample,
	}
	if p.Failed != nil {
		one.Failed = p.Failed.Error()
	}
	if !a.Sample {
		one.Gate = &p.Gate
	}
	a.Mails = append(a.Mails, one)
}

func addressed(name, email string) string {
	if name == "" {
		return email
	}
	return name + " <" + email + ">"
}

func (a previewAnswer) print(out io.Writer) {
	for _, m := range a.Mails {
		m.print(out, a)
	}
	for _, n := range a.Notes {
		fmt.Fprintln(out, n)
	}
	switch {
	case a.Folder == "":
	case a.Opened:
		fmt.Fprintf(out, "The browser shows %s; remove the folder when you have looked.\n", a.Folder)
	default:
		fmt.Fprintf(out, "There is no display here. The files are in %s; remove the folder when you have looked.\n", a.Folder)
	}
	fmt.Fprintln(out, "Nothing was sent.")
}

const previewWidth = 88

func (m previewMail) print(out io.Writer, a previewAnswer) {
	what := m.Template
	if m.SendGrid != "" {
		what = m.SendGrid + " of SendGrid"
	}
	if m.Locale != "" {
		what += ", " + m.Locale
	}
	fmt.Fprintf(out, "%s, step %s (template %s)\n", a.Campaign, m.Step, what)
	if m.Failed != "" {
		fmt.Fprintf(out, "  It could not be filled in: %s\n\n", harmless(m.Failed))
		return
	}
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(out, "  %-12s %s\n", name, mailer.OneLine(value))
		}
	}
	line("From", m.From)
	line("Reply to", m.ReplyTo)
	line("To", m.To)
	line("Subject", m.Subject)
	line("Preheader", m.Preheader)
	for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
		line(name, m.Headers[name])
	}
	if m.SendGrid != "" {
		data, err := json.MarshalIndent(m.Data, "  | ", "  ")
		if err == nil {
			fmt.Fprintf(out, "\n  | %s\n\nSendGrid fills its template in with this; the mail itself can only be seen there.\n", harmless(string(data)))
		}
	}
	if m.Text != "" {
		fmt.Fprintf(out, "\n%s\n", wrapped(harmless(m.Text), "  | ", previewWidth))
	}
	for i, l := range m.Links {
		if i == 0 {
			fmt.Fprintln(out, "  Links of the HTML part")
		}
		fmt.Fprintf(out, "  %3d. %s: %s\n", i+1, mailer.OneLine(l.Text), mailer.OneLine(l.Target))
	}
	if m.HTML != "" {
		fmt.Fprintf(out, "  HTML part: %.1f kB%s\n", float64(len(m.HTML))/1000, gmailCuts(len(m.HTML)))
	}
	if m.Code {
		fmt.Fprintf(out, "  %s stands for a coupon: none was taken.\n", mailer.PlaceholderCode)
	}
	fmt.Fprintf(out, "%s\n\n", m.verdict(a.State))
}

// gmailCuts warns of what Gmail does to long mails.
func gmailCuts(bytes int) string {
	if bytes < 102_000 {
		return ""
	}
	return ": Gmail cuts mails at 102 kB"
}

// verdict is what the gate says, in a line.
func (m previewMail) verdict(state string) string {
	if m.Gate == nil {
		return "The data is made up."
	}
	unless := ""
	if state != mailer.CampaignArmed {
		unless = ", were the campaign armed (it is " + state + ")"
	}
	stopped, reads := mailer.Checked{}, false
	for _, c := range m.Gate.Checks {
		switch {
		case c.Verdict == mailer.CheckPassed:
		case c.Reason == mailer.WaitingForShop: // a mail that is due asks for that read, and it is there in seconds
			reads = true
		case stopped.Check == "":
			stopped = c
		}
	}
	switch {
	case stopped.Verdict == mailer.CheckStops:
		return "The gate would not let it pass: " + stopped.Sentence + " (" + stopped.Check + ")."
	case stopped.Verdict == mailer.CheckWaits:
		return "The gate would let it wait: " + stopped.Sentence + " (" + stopped.Check + ", until " + rfc(stopped.Until) + ")."
	case reads:
		return "The gate would let it pass once the shop has been read, which a mail that is due asks for" + unless + "."
	}
	return "The gate would let it pass" + unless + "."
}

// harmless takes out what would command a terminal.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, strings.ReplaceAll(s, "\r\n", "\n"))
}

// wrapped breaks lines between words, so that each with its prefix fits the width; a longer word, such as an address, stands whole.
func wrapped(text, prefix string, width int) string {
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		used := 0
		b.WriteString(prefix)
		for w := range strings.FieldsSeq(line) {
			n := utf8.RuneCountInString(w)
			switch {
			case used == 0:
			case used+1+n > width-utf8.RuneCountInString(prefix):
				b.WriteString("\n" + prefix)
				used = 0
			default:
				b.WriteByte(' ')
				used++
			}
			b.WriteString(w)
			used += n
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// browse lays mails out as files that only this user can read, and has them shown where there is a display.
func (d *deps) browse(a previewAnswer) (folder string, opened bool, err error) {
	if folder, err = os.MkdirTemp("", "relance-preview-"); err != nil {
		return "", false, fmt.Errorf("making a folder for the mails: %w", err)
	}
	for _, m := range a.Mails {
		for ext, text := range map[string]string{".html": m.HTML, ".txt": m.Text} {
			if text == "" {
				continue
			}
			path := filepath.Join(folder, m.Step+ext)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return folder, false, fmt.Errorf("writing the mails: %w", err)
			}
			if ext == ".html" {
				shown, err := d.show(path)
				if err != nil {
					return folder, false, err
				}
				opened = opened || shown
			}
		}
	}
	return folder, opened, nil
}

// show asks the desktop to open a file; false where there is no display.
func (d *deps) show(path string) (bool, error) {
	program := "xdg-open"
	if runtime.GOOS == "darwin" {
		program = "open"
	} else if !d.given("DISPLAY") && !d.given("WAYLAND_DISPLAY") {
		return false, nil
	}
	if _, err := exec.LookPath(program); err != nil {
		return false, nil //nolint:nilerr // it is no error to have no browser: the path is said instead
	}
	cmd := exec.CommandContext(d.ctx, program, path) //nolint:gosec // one of two programs, and a file that was just made
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return false, &fault.Error{Class: fault.Operator, Op: "opening the browser with " + program, Err: err, Hint: "The file is " + path}
	}
	return true, nil
}

func (d *deps) given(variable string) bool {
	v, ok := d.env(variable)
	return ok && v != ""
}
