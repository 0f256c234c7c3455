package config

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"time"

	"github.com/invopop/jsonschema"

	"github.com/relance/relance/mailer"
	"github.com/relance/relance/segments/rule"
)

// SchemaFiles names the kinds of files that have a JSON Schema, with the type that each is decoded into.
func SchemaFiles() []string { return []string{"relance", "shop", "segments", "campaigns"} }

// Schema is the JSON Schema of one kind of file, for editors to complete and check by. Decoding is stricter.
func Schema(kind string) ([]byte, error) {
	types := map[string]any{"relance": mainYAML{}, "shop": Shop{}, "segments": rule.File{}, "campaigns": mailer.CampaignFile{}}
	v, ok := types[kind]
	if !ok {
		return nil, fmt.Errorf("there is no schema %q; there are %s", kind, strings.Join(SchemaFiles(), ", "))
	}
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", RequiredFromJSONSchemaTags: true, Mapper: mapped, Anonymous: true,
		Namer: schemaName, ExpandedStruct: reflect.TypeOf(v).Kind() == reflect.Struct,
	}
	s := r.Reflect(v)
	s.Title = "Relance: " + kind
	switch kind {
	case "segments", "campaigns":
		segmentWords(s) // the key of a share is no secret
	default:
		secretFiles(s)
	}
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the schema of %s: %w", kind, err)
	}
	return append(out, '\n'), nil
}

// schemaName tells the Config types of several packages apart.
func schemaName(t reflect.Type) string {
	switch name := t.Name(); name {
	case "mainYAML":
		return "Relance"
	case "Config":
		return path.Base(t.PkgPath())
	default:
		return name
	}
}

// mapped gives the schemas of types that decode themselves.
func mapped(t reflect.Type) *jsonschema.Schema {
	text := func(description, pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Description: description, Pattern: pattern}
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return text("a length of time: 30m, 1h, 60d, 6w", "^([0-9]+[smhdw])+$")
	case reflect.TypeFor[rule.Length](), reflect.TypeFor[rule.Number](), reflect.TypeFor[rule.Bound](), reflect.TypeFor[rule.List]():
		return &jsonschema.Schema{Ref: "#/$defs/" + t.Name()} // as segmentWords defines them
	case reflect.TypeFor[mailer.Occurrence]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "string", Enum: []any{mailer.OccurrenceOnce, mailer.OccurrenceEach, mailer.OccurrenceCart, mailer.OccurrenceOrder, mailer.OccurrenceYear}},
			object(mailer.OccurrenceAgain),
		}}
	}
	return nil
}

func object(keys ...string) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for _, k := range keys {
		s.Properties.Set(k, &jsonschema.Schema{Type: "string"})
	}
	s.Required = keys[:1]
	return s
}

// secretFiles adds <key>_file beside every secret.
func secretFiles(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	for _, d := range s.Definitions {
		secretFiles(d)
	}
	if s.Properties == nil {
		return
	}
	var secrets []string
	for p := s.Properties.Oldest(); p != nil; p = p.Next() {
		secretFiles(p.Value)
		if isSecret(p.Key) && (p.Value.Type == "string" || p.Value.Type == "array") {
			secrets = append(secrets, p.Key)
		}
	}
	for _, k := range secrets {
		s.Properties.Set(k+"_file", &jsonschema.Schema{Type: "string", Description: "file to read " + k + " from, instead of " + k})
	}
}
