package lenient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// anyJSON draws a value that holds what a careless scan would stumble over.
func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int32().AsAny(), rapid.Float64Range(-1e9, 1e9).AsAny(), rapid.String().AsAny(),
		rapid.SampledFrom([]string{`"id":5`, `\`, `\"`, `{"id":`, `}`, `]`, "é\u2028\x00"}).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(leaves...)
	}
	return rapid.OneOf(append(leaves,
		rapid.SliceOfN(anyJSON(depth-1), 0, 4).AsAny(), rapid.MapOfN(names(), anyJSON(depth-1), 0, 4).AsAny())...)
}

func names() *rapid.Generator[string] {
	return rapid.OneOf(rapid.SampledFrom([]string{"id", "ID", "parent_id", "type", `i"d`, `id\`}), rapid.String())
}

func TestAFieldIsWhatAWholeDecodingFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body, err := json.Marshal(rapid.MapOfN(names(), anyJSON(3), 0, 6).Draw(t, "body"))
		if err != nil {
			t.Fatal(err)
		}
		if rapid.Bool().Draw(t, "spaced") {
			var b bytes.Buffer
			if err := json.Indent(&b, body, " ", "\t"); err != nil {
				t.Fatal(err)
			}
			body = b.Bytes()
		}
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(body, &whole); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"id", "parent_id", "type", "absent"} {
			if got, want := Field(body, name), whole[name]; !bytes.Equal(got, want) {
				t.Fatalf("%s of %s: %s, want %s", name, body, got, want)
			}
		}
	})
}

func TestAFieldOfAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.SliceOf(rapid.SampledFrom([]byte(`{}[]":,\ id1`)))).Draw(t, "body")
		_ = Field(body, "id") // must neither panic nor go on for ever
	})
}

func BenchmarkField(b *testing.B) {
	body := fmt.Appendf(nil, `{"id":12,"note":%q}`, bytes.Repeat([]byte("x"), 4000))
	for b.Loop() {
		if Field(body, "id") == nil {
			b.Fatal("no id")
		}
	}
}
