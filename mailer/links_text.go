package mailer

import "strings"

// rewriteText gives each address of a plain text to change and puts what it answers in its place. An address ends where mail
// programs end it: at a space, a quote or a bracket, and before the full stop or comma of its sentence.
func rewriteText(text string, change func(address string) (string, bool)) string {
	var out strings.Builder
	done := 0
	for at := 0; ; {
		i := strings.Index(text[at:], "://")
		if i < 0 {
			break
		}
		start := schemeStart(text, at, at+i)
		at += i + len("://")
		if start < 0 {
			continue
		}
		if n := strings.IndexAny(text[at:], " \t\r\n\f\u00a0<>\"'"); n >= 0 {
			at += n
		} else {
			at = len(text)
		}
		end := addressEnd(text, start, at)
		if put, ok := change(text[start:end]); ok {
			out.WriteString(text[done:start])
			out.WriteString(put)
			done = end
		}
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// schemeStart finds http or https before "://", not reaching back over from; -1 for anything else.
func schemeStart(text string, from, colon int) int {
	for _, scheme := range [...]string{"https", "http"} {
		if i := colon - len(scheme); i >= from && strings.EqualFold(text[i:colon], scheme) && (i == 0 || !isWord(text[i-1])) {
			return i
		}
	}
	return -1
}

// addressEnd leaves out what closes the sentence or bracket that an address stands in.
func addressEnd(text string, start, end int) int {
	for end > start {
		switch last := text[end-1]; {
		case strings.IndexByte(".,;:!?*_", last) >= 0:
		case last == ')' && strings.Count(text[start:end], "(") < strings.Count(text[start:end], ")"):
		case last == ']' && strings.Count(text[start:end], "[") < strings.Count(text[start:end], "]"):
		default:
			return end
		}
		end--
	}
	return end
}
