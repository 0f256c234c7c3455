package mailer

import (
	"regexp"
	"strconv"
	"strings"
)

// ofSendGrid marks, in step.template, a dynamic template of SendGrid. No template of ours has a colon in its name.
const ofSendGrid = "sendgrid:"

// sends reads what a step sends, and gives the name of the template for step.template.
func (k *compiler) sends(path string, s SendSpec) string {
	switch {
	case s.SendGrid == "":
		k.template(path+".template", s.Template)
		return s.Template
	case s.Template != "":
		k.wrong(path, "a step sends one template", "template: a name in templates/, or sendgrid_template: d-…")
	case !regexp.MustCompile(`^d-[0-9A-Za-z]{1,64}$`).MatchString(s.SendGrid):
		k.wrong(path+".sendgrid_template", quoted(s.SendGrid)+" is no id of a dynamic template", "the id that SendGrid shows beside the template: d- and letters and digits")
	}
	return ofSendGrid + s.SendGrid
}

func (k *compiler) template(path, name string) {
	switch {
	case name == "":
		k.wrong(path, "no template is named", "the name of a template in templates/")
	case k.known != nil && !k.known.Templates[name]:
		k.wrong(path, "there is no template "+quoted(name), oneOf(trueKeys(k.known.Templates)))
	}
}

// Dynamic finds the steps that send a template of SendGrid, those in branches and variants included: their YAML paths below
// the campaign, which config shows where the audience's provider is another.
func (s CampaignSpec) Dynamic() []string { return dynamicSteps(".steps", s.Steps) }

func dynamicSteps(path string, steps []StepSpec) []string {
	var out []string
	for i, s := range steps {
		here := path + "[" + strconv.Itoa(i) + "]"
		if s.Send != nil && s.Send.SendGrid != "" {
			out = append(out, here+".send.sendgrid_template")
		}
		for j, b := range s.Branch {
			out = append(out, dynamicSteps(here+".branch["+strconv.Itoa(j)+"].steps", b.Steps)...)
		}
		if s.Split != nil {
			for j, v := range s.Split.Variants {
				out = append(out, dynamicSteps(here+".split.variants["+strconv.Itoa(j)+"].steps", v.Steps)...)
			}
		}
	}
	return out
}

// fillsIn tells which template of SendGrid a template's name stands for.
func fillsIn(template string) (id string, ok bool) { return strings.CutPrefix(template, ofSendGrid) }
