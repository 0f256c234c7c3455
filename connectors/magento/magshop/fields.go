package magshop

import "strings"

// selection is a parsed `fields` parameter: nil means everything below.
type selection map[string]selection

// trimmed keeps what `fields` names. An empty list becomes null, unknown names are ignored.
func trimmed(v object, fields string) any {
	if fields == "" {
		return v
	}
	sel, _ := parseFields(fields)
	return sel.of(v)
}

func parseFields(s string) (selection, string) {
	out := selection{}
	for s != "" {
		end := strings.IndexAny(s, ",[]")
		if end < 0 {
			out[s] = nil
			return out, ""
		}
		name, sep := strings.TrimSpace(s[:end]), s[end]
		s = s[end+1:]
		switch sep {
		case '[':
			var below selection
			below, s = parseFields(s)
			out[name] = below
			s = strings.TrimPrefix(s, ",")
			if strings.HasPrefix(s, "]") {
				return out, s[1:]
			}
		case ']':
			if name != "" {
				out[name] = nil
			}
			return out, s
		default:
			if name != "" {
				out[name] = nil
			}
		}
	}
	return out, ""
}

func (sel selection) of(v any) any {
	if sel == nil {
		return v
	}
	switch v := v.(type) {
	case object:
		out := object{}
		for name, below := range sel {
			if w, ok := v[name]; ok {
				out[name] = below.of(w)
			}
		}
		if len(out) == 0 {
			return []any{} // as PHP writes an empty array
		}
		return out
	case []any:
		if len(v) == 0 {
			return nil
		}
		out := make([]any, len(v))
		for i, w := range v {
			out[i] = sel.of(w)
		}
		return out
	}
	return v
}
