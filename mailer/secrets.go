package mailer

import (
	"slices"
)

// SecretsOf gives what signs the calls of web services, by "<campaign>/<step>". Secrets stay in the files: whoever runs an
// Engine gives them to it.
func SecretsOf(f CampaignFile) map[string]string {
	out := map[string]string{}
	for id, spec := range f {
		eachCall(spec.Steps, func(step string, c *CallSpec) { out[id+"/"+step] = c.Secret })
	}
	return out
}

// withoutSecrets is a definition as it is stored; a new secret is no new definition.
func withoutSecrets(spec CampaignSpec) CampaignSpec {
	spec.Steps = copied(spec.Steps)
	eachCall(spec.Steps, func(_ string, c *CallSpec) { c.Secret = "" })
	return spec
}

// copied is a copy down to the calls.
func copied(steps []StepSpec) []StepSpec {
	steps = slices.Clone(steps)
	for i := range steps {
		s := &steps[i]
		if s.Call != nil {
			s.Call = new(*s.Call)
		}
		s.Branch = slices.Clone(s.Branch)
		for j := range s.Branch {
			s.Branch[j].Steps = copied(s.Branch[j].Steps)
		}
		if s.Split != nil {
			s.Split = new(*s.Split)
			s.Split.Variants = slices.Clone(s.Split.Variants)
			for j := range s.Split.Variants {
				s.Split.Variants[j].Steps = copied(s.Split.Variants[j].Steps)
			}
		}
	}
	return steps
}

func eachCall(steps []StepSpec, fn func(step string, c *CallSpec)) {
	for i := range steps {
		s := &steps[i]
		if s.Call != nil {
			fn(s.ID, s.Call)
		}
		for j := range s.Branch {
			eachCall(s.Branch[j].Steps, fn)
		}
		if s.Split != nil {
			for j := range s.Split.Variants {
				eachCall(s.Split.Variants[j].Steps, fn)
			}
		}
	}
}
