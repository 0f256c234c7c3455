package mailer

import (
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Dynamic is what a template that the provider fills in sees: the fields of Data under their names in snake_case
// (contact.first_name, cart.lines[0].image_url). What there is none of is left out, so that {{#if cart}} asks for it;
// instants are RFC 3339 in the contact's zone. docs/campaigns.md lists the keys.
func (d Data) Dynamic() map[string]any {
	m, _ := dynamic(reflect.ValueOf(d)).(map[string]any)
	return m
}

// dynamic turns a value into what JSON has: maps, lists, texts, numbers; nil for what is to be left out.
func dynamic(v reflect.Value) any {
	if at, is := reflect.TypeAssert[time.Time](v); is {
		if at.IsZero() {
			return nil
		}
		return at.Format(time.RFC3339)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return dynamic(v.Elem())
	case reflect.Struct:
		out := map[string]any{}
		for i := range v.NumField() {
			if value := dynamic(v.Field(i)); value != nil {
				out[snake(v.Type().Field(i).Name)] = value
			}
		}
		return out
	case reflect.Slice:
		if v.Len() == 0 {
			return nil
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = dynamic(v.Index(i))
		}
		return out
	case reflect.Map:
		if v.Len() == 0 {
			return nil
		}
	case reflect.String:
		if v.Len() == 0 {
			return nil
		}
	default: // numbers and flags are as they are: 0 is a number
	}
	return v.Interface()
}

// snake writes a field's name as templates know it: FirstName is first_name, ImageURL is image_url.
func snake(name string) string {
	var b strings.Builder
	letters := []rune(name)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
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
