package config

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/templates"
)

const templatesDir = "templates"

// domain has each package check what it owns.
func (l *loader) domain(f *files, c *Config) {
	l.problemsIn(f.segmentDocs, f.segments.Validate())
	known := l.templates(c)
	if f.mainDoc == nil || f.broken { // names are missing that the unreadable files define
		return
	}
	l.problemsIn(f.campaignDocs, f.campaigns.Validate(mailer.Known{
		Segments: f.segments, Templates: known, Audiences: set(maps.Keys(c.Audiences)), Shops: shopNames(c),
	}))
	maps.Copy(f.segments, mailer.ImplicitSegments(f.campaigns)) // from here on they are like the files'
	l.mayLeave(f, c)
	l.filledIn(f, c)
	l.marketing(f, c.Templates)
}

// shopNames lists the shops of each audience.
func shopNames(c *Config) map[string][]mailer.ShopName {
	out := map[string][]mailer.ShopName{}
	for _, name := range slices.Sorted(maps.Keys(c.Shops)) {
		s := c.Shops[name]
		out[s.Audience] = append(out[s.Audience], mailer.ShopName{Name: name, Platform: s.Platform})
	}
	return out
}

func set(names func(yield func(string) bool)) map[string]bool {
	out := map[string]bool{}
	for n := range names {
		out[n] = true
	}
	return out
}

// problemsIn places problems of definitions that come from several files; the first step of a path is the definition.
func (l *loader) problemsIn(docs map[string]*document, ps []fault.Problem) {
	for _, p := range ps {
		if s := steps(p.Path); len(s) > 0 && docs[s[0]] != nil {
			l.problem(docs[s[0]], p.Path, p.Message, p.Want)
		} else {
			l.whole(mainFile, p.Message, p.Want)
		}
	}
}

// templates loads them and gives the names there are, broken ones included.
func (l *loader) templates(c *Config) map[string]bool {
	loaded, ps := render.Load(os.DirFS(filepath.Join(l.dir, templatesDir)), nil, templates.Default())
	c.Templates = loaded
	known := set(slices.Values(loaded.Names()))
	at := regexp.MustCompile(`^([^:]+)(?::(\d+))?(?::(\d+))?$`)
	for _, p := range ps {
		m := at.FindStringSubmatch(p.Path)
		if m == nil {
			l.whole(templatesDir, p.Path+": "+p.Message, p.Want)
			continue
		}
		name, _, _ := strings.Cut(m[1], ".")
		known[name] = true
		l.inTemplate(m[1], m[2], m[3], p)
	}
	return known
}

func (l *loader) inTemplate(file, line, column string, p fault.Problem) {
	rel := templatesDir + "/" + file
	data, err := os.ReadFile(filepath.Join(l.dir, templatesDir, file))
	n, _ := strconv.Atoi(line)
	if err != nil || n == 0 {
		l.whole(strings.TrimSuffix(rel, "/."), p.Message, p.Want)
		return
	}
	col, _ := strconv.Atoi(column)
	doc := &document{name: rel, lines: strings.Split(string(data), "\n")}
	l.pending = append(l.pending, pending{doc, n, max(col, 1), Mistake{File: rel, Message: p.Message, Want: p.Want}})
}

// mayLeave refuses marketing mails that would really leave without what makes them lawful: a way to unsubscribe in
// one click, which needs an address that mailbox providers reach, and the sender's postal address.
func (l *loader) mayLeave(f *files, c *Config) {
	for _, id := range slices.Sorted(maps.Keys(f.campaigns)) {
		spec := f.campaigns[id]
		a := c.Audiences[or(spec.Audience, DefaultAudience)]
		if !markets(spec, a) {
			continue
		}
		doc, path := f.campaignDocs[id], "$."+id
		switch {
		case c.PublicURL == "":
			l.problem(doc, path, "campaign "+id+" would send marketing mails that nobody can unsubscribe from: "+mainFile+" has no public_url",
				"public_url: the https address of the public listener; or provider: outbox for the audience")
		case !strings.HasPrefix(c.PublicURL, "https://"):
			l.problem(doc, path, "campaign "+id+" would send marketing mails whose unsubscribe link is not https", "public_url: an https address")
		}
		if a.PostalAddress == "" {
			l.problem(doc, path, "campaign "+id+" would send marketing mails without the sender's postal address", "postal_address: in its audience in "+mainFile)
		}
	}
}

// filledIn refuses steps whose template the audience's provider cannot fill in.
func (l *loader) filledIn(f *files, c *Config) {
	for _, id := range slices.Sorted(maps.Keys(f.campaigns)) {
		spec := f.campaigns[id]
		name := or(spec.Audience, DefaultAudience)
		if c.Audiences[name].Provider != providerSMTP {
			continue
		}
		for _, path := range spec.Dynamic() {
			l.problem(f.campaignDocs[id], "$."+id+path, "the audience "+name+" sends through a mail server, which fills in no templates of SendGrid",
				"template: a name in templates/; or provider: sendgrid for the audience")
		}
	}
}

// Markets tells whether any campaign sends marketing mails that reach people.
func (c *Config) Markets() bool {
	for _, spec := range c.Campaigns {
		if markets(spec, c.Audiences[or(spec.Audience, DefaultAudience)]) {
			return true
		}
	}
	return false
}

func markets(spec mailer.CampaignSpec, a Audience) bool {
	return spec.Kind != mailer.KindTransactional && a.Real()
}

// AllTopics are the topics that contacts may choose among, with their titles: those of the file, else marketing alone.
func (a Audience) AllTopics() map[string]string {
	if len(a.Topics) == 0 {
		return map[string]string{mailer.TopicMarketing: ""}
	}
	return a.Topics
}

// Real tells whether mails of the audience reach people.
func (a Audience) Real() bool {
	return a.Provider == providerSMTP || a.Provider == providerSendGrid && !a.SendGrid.Sandbox
}
