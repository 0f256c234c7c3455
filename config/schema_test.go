package config

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// docs/schema is what `relance schema` prints; go test ./config -update writes it anew.
func TestTheSchemasInTheDocsAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	for _, kind := range SchemaFiles() {
		got, err := Schema(kind)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(got) {
			t.Errorf("%s: no JSON", kind)
		}
		golden(t, filepath.Join("../docs/schema", kind+".schema.json"), string(got))
	}
}
