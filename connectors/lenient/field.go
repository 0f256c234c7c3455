package lenient

import (
	"bytes"
	"encoding/json"
)

// Field gives the value of a top-level field of an object, as written. It reads no further and decodes nothing else:
// bodies of webhooks are long, their id comes first. nil when there is none, or when what comes before is no JSON.
func Field(body []byte, name string) json.RawMessage {
	s := scanner{b: body}
	if !s.take('{') {
		return nil
	}
	for {
		key := s.text()
		if key == nil || !s.take(':') {
			return nil
		}
		value := s.value()
		if value == nil {
			return nil
		}
		if named(key, name) {
			return value
		}
		if !s.take(',') {
			return nil
		}
	}
}

// named compares a quoted key, which may be written with escapes.
func named(key []byte, name string) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key[1:len(key)-1]) == name
	}
	var plain string
	return json.Unmarshal(key, &plain) == nil && plain == name
}

// scanner finds where values end.
type scanner struct {
	b  []byte
	at int
}

func (s *scanner) space() {
	for s.at < len(s.b) && (s.b[s.at] == ' ' || s.b[s.at] == '\t' || s.b[s.at] == '\n' || s.b[s.at] == '\r') {
		s.at++
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// text is the next value if it is a string, with its quotes.
func (s *scanner) text() []byte {
	s.space()
	if s.at >= len(s.b) || s.b[s.at] != '"' {
		return nil
	}
	from := s.at
	for s.at++; ; s.at++ {
		next := bytes.IndexByte(s.b[s.at:], '"')
		if next < 0 {
			return nil
		}
		slashes := 0
		for s.at += next; s.b[s.at-1-slashes] == '\\'; slashes++ { // ends at the opening quote
		}
		if slashes%2 == 0 {
			s.at++
			return s.b[from:s.at]
		}
	}
}

// value is the next value whatever it is, nil when the body ends in it.
func (s *scanner) value() json.RawMessage {
	s.space()
	from, depth := s.at, 0
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case '"':
			if s.text() == nil {
				return nil
			}
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			if depth == 0 {
				return s.part(from)
			}
			depth--
			s.at++
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return s.part(from)
			}
			s.at++
			continue
		default:
			s.at++
			continue
		}
		if depth == 0 {
			return s.part(from)
		}
	}
	return nil
}

func (s *scanner) part(from int) json.RawMessage {
	if s.at == from {
		return nil
	}
	return s.b[from:s.at]
}
