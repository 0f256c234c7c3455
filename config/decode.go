package config

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/spelling"
)

// decoder puts a document into Go values. goccy's own decoder stops at the first mistake; this one reports every
// unknown key, key written twice and value of the wrong type at its position and goes on. Types that decode
// themselves are left to goccy.
type decoder struct {
	l   *loader
	doc *document
}

// into decodes n; what is the name of the value in messages ("shop", "listen.public").
func (d *decoder) into(n ast.Node, v reflect.Value, what string) {
	if n == nil {
		return
	}
	if _, null := n.(*ast.NullNode); null {
		return
	}
	switch {
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.into(n, v.Elem(), what)
	case decodesItself(v.Type()):
		d.itself(n, v, what)
	case v.Type() == reflect.TypeFor[time.Duration]():
		d.duration(n, v, what)
	case v.Kind() == reflect.Struct:
		d.structure(n, v, what)
	case v.Kind() == reflect.Map:
		d.mapping(n, v, what)
	case v.Kind() == reflect.Slice:
		d.list(n, v, what)
	default:
		d.scalar(n, v, what)
	}
}

func decodesItself(t reflect.Type) bool {
	p := reflect.New(t).Interface()
	switch p.(type) {
	case yaml.NodeUnmarshaler, yaml.NodeUnmarshalerContext, yaml.BytesUnmarshaler, yaml.BytesUnmarshalerContext,
		yaml.InterfaceUnmarshaler, yaml.InterfaceUnmarshalerContext, encoding.TextUnmarshaler:
		return true
	}
	return t.Kind() == reflect.Interface
}

func (d *decoder) itself(n ast.Node, v reflect.Value, what string) {
	err := yaml.NodeToValue(n, v.Addr().Interface(), yaml.Strict())
	if err == nil {
		return
	}
	d.l.typos[n] = true
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		d.l.atToken(d.doc, ye.GetToken(), strings.Replace(ye.GetMessage(), "unknown field", "unknown key", 1), "")
		return
	}
	d.l.at(d.doc, n, fmt.Sprintf("%s: %v", what, err), "")
}

func (d *decoder) duration(n ast.Node, v reflect.Value, what string) {
	dur, err := crm.ParseSpan(scalarText(n))
	if err != nil {
		d.l.at(d.doc, n, fmt.Sprintf("%s: %v", what, err), `a length of time such as "30m", "24h" or "7d"`)
		return
	}
	v.SetInt(int64(dur))
}

// pairs lists the keys of a mapping in their order with merged ones after, and reports keys written twice.
func (d *decoder) pairs(n ast.Node, what string) ([]*ast.MappingValueNode, bool) {
	var own []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		own = n.Values
	case *ast.MappingValueNode:
		own = []*ast.MappingValueNode{n}
	default:
		d.l.at(d.doc, n, what+" must be a mapping", `lines of "key: value", indented below`)
		return nil, false
	}
	seen := map[string]*ast.MappingValueNode{}
	var out, merged []*ast.MappingValueNode
	for _, kv := range own {
		if kv.Key.IsMergeKey() {
			more, _ := d.pairs(kv.Value, "what << merges")
			merged = append(merged, more...)
			continue
		}
		k := keyText(kv.Key)
		if first := seen[k]; first != nil {
			d.l.at(d.doc, kv.Key, fmt.Sprintf("key %q is written twice", k),
				fmt.Sprintf("one of the two; the first is on line %d", first.Key.GetToken().Position.Line))
			continue
		}
		seen[k] = kv
		out = append(out, kv)
	}
	for _, kv := range merged {
		if k := keyText(kv.Key); seen[k] == nil {
			seen[k] = kv
			out = append(out, kv)
		}
	}
	return out, true
}

func (d *decoder) structure(n ast.Node, v reflect.Value, what string) {
	pairs, ok := d.pairs(n, what)
	if !ok {
		return
	}
	fields := fieldsOf(v)
	for _, kv := range pairs {
		k := keyText(kv.Key)
		f, known := fields[k]
		if known {
			d.into(kv.Value, f, k)
			d.resolvePath(k, f)
			continue
		}
		if base, isFile := strings.CutSuffix(k, "_file"); isFile && isSecret(base) {
			if f, known := fields[base]; known && (f.Kind() == reflect.String || f.Type() == reflect.TypeFor[[]string]()) {
				d.secretFile(kv, base, f, pairs)
				continue
			}
		}
		d.l.typos[n] = true
		near := d.unknown(kv.Key, k, slices.Sorted(maps.Keys(fields)))
		for _, text := range scalarTexts(kv.Value) {
			if isSecretValue(near, text) {
				d.l.mask.hide(text)
			}
		}
	}
}

// resolvePath makes the path of a *_file or *_dir key absolute: whoever opens it must not care where Relance was started.
func (d *decoder) resolvePath(key string, f reflect.Value) {
	if f.Kind() != reflect.String || f.String() == "" || !strings.HasSuffix(key, "_file") {
		return
	}
	f.SetString(d.l.path(f.String()))
}

// secretFile reads a secret from the file that <key>_file names; a list of them, one a line.
func (d *decoder) secretFile(kv *ast.MappingValueNode, base string, f reflect.Value, pairs []*ast.MappingValueNode) {
	for _, other := range pairs {
		if keyText(other.Key) == base {
			d.l.at(d.doc, kv.Key, base+" and "+base+"_file are both given", "one of the two")
			return
		}
	}
	data, err := os.ReadFile(d.l.path(scalarText(kv.Value)))
	if err != nil {
		setSecret(f, "not read") // so that nobody calls it missing as well
		d.l.at(d.doc, kv.Value, fmt.Sprintf("the file of %s cannot be read: %s", base, cause(err)),
			"a file that this user may read; a relative path starts at "+filepath.Base(d.l.dir)+"/")
		return
	}
	secret := strings.TrimRight(string(data), "\r\n")
	d.l.mask.hide(secret)
	setSecret(f, secret)
}

func setSecret(f reflect.Value, secret string) {
	if f.Kind() == reflect.String {
		f.SetString(secret)
		return
	}
	f.Set(reflect.ValueOf(strings.Fields(secret)))
}

// unknown reports a key and gives the one that is probably meant, or "".
func (d *decoder) unknown(key ast.Node, k string, known []string) (near string) {
	want := "one of " + strings.Join(known, ", ")
	if near = spelling.Closest(k, known); near != "" {
		want = "did you mean " + near + "?"
	}
	d.l.at(d.doc, key, fmt.Sprintf("unknown key %q", k), want)
	return near
}

// fieldsOf maps YAML keys to the fields of a struct, inline ones included.
func fieldsOf(v reflect.Value) map[string]reflect.Value {
	out := map[string]reflect.Value{}
	for i := range v.NumField() {
		sf := v.Type().Field(i)
		name, rest, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		switch {
		case !sf.IsExported() || name == "-":
		case strings.Contains(rest, "inline"):
			maps.Copy(out, fieldsOf(v.Field(i)))
		case name == "":
			out[strings.ToLower(sf.Name)] = v.Field(i)
		default:
			out[name] = v.Field(i)
		}
	}
	return out
}

func (d *decoder) mapping(n ast.Node, v reflect.Value, what string) {
	pairs, ok := d.pairs(n, what)
	if !ok {
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, kv := range pairs {
		elem := reflect.New(v.Type().Elem()).Elem()
		k := keyText(kv.Key)
		d.into(kv.Value, elem, k)
		v.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), elem)
	}
}

func (d *decoder) list(n ast.Node, v reflect.Value, what string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.l.at(d.doc, n, what+" must be a list", `[a, b] or lines that begin with "- "`)
		d.l.typos[n] = true
		return
	}
	out := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		d.into(item, out.Index(i), fmt.Sprintf("%s[%d]", what, i))
	}
	v.Set(out)
}

func (d *decoder) scalar(n ast.Node, v reflect.Value, what string) {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		d.l.at(d.doc, n, what+" must be "+article(v.Kind()), "a single value after the colon")
		return
	}
	text := scalarText(n)
	var err error
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		var b bool
		if b, err = strconv.ParseBool(text); err == nil && (text == "true" || text == "false") {
			v.SetBool(b)
		} else {
			err = strconv.ErrSyntax
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		var i int64
		if i, err = strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, v.Type().Bits()); err == nil {
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		var u uint64
		if u, err = strconv.ParseUint(strings.ReplaceAll(text, "_", ""), 10, v.Type().Bits()); err == nil {
			v.SetUint(u)
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if f, err = strconv.ParseFloat(text, v.Type().Bits()); err == nil {
			v.SetFloat(f)
		}
	default:
		err = fmt.Errorf("type %s", v.Type())
	}
	if err != nil {
		d.l.at(d.doc, n, fmt.Sprintf("%s must be %s", what, article(v.Kind())), "")
	}
}

func article(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	default:
		return "a whole number"
	}
}
