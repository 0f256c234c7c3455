package config

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
)

// marketing refuses templates that lack what marketing mails must carry, at the first step that sends each.
func (l *loader) marketing(f *files, templates *render.Set) {
	told := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(f.campaigns)) {
		spec := f.campaigns[id]
		if spec.Kind == mailer.KindTransactional {
			continue
		}
		for path, name := range sends("$."+id+".steps", spec.Steps) {
			if told[name] {
				continue
			}
			told[name] = true
			for _, p := range templates.CheckMarketing(name) {
				l.problem(f.campaignDocs[id], path, "this marketing mail must not leave as it is, "+templatesDir+"/"+p.Path+": "+p.Message, p.Want)
			}
		}
	}
}

// sends gives the templates of all steps, those in branches and variants too, each with its path.
func sends(path string, steps []mailer.StepSpec) iter.Seq2[string, string] {
	return func(yield func(path, template string) bool) { eachSend(path, steps, yield) }
}

func eachSend(path string, steps []mailer.StepSpec, yield func(path, template string) bool) bool {
	for i, s := range steps {
		at := fmt.Sprintf("%s[%d]", path, i)
		if s.Send != nil && s.Send.Template != "" && !yield(at+".send.template", s.Send.Template) {
			return false
		}
		for j, b := range s.Branch {
			if !eachSend(fmt.Sprintf("%s.branch[%d].steps", at, j), b.Steps, yield) {
				return false
			}
		}
		if s.Split == nil {
			continue
		}
		for j, v := range s.Split.Variants {
			if !eachSend(fmt.Sprintf("%s.split.variants[%d].steps", at, j), v.Steps, yield) {
				return false
			}
		}
	}
	return true
}
