package presshop

import (
	"net/http"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// Fault is something that goes wrong with one answer. Use the constructors.
type Fault = modelshop.Fault

// Throttled is a 429 that asks to wait.
func Throttled(after time.Duration) *Fault {
	a := page(http.StatusTooManyRequests, "Too many requests")
	return modelshop.Throttled(a, after)
}

// ServerError is a fatal error of PHP: 500 with an empty body.
func ServerError() *Fault {
	a := page(http.StatusInternalServerError, "")
	return modelshop.Instead(a)
}

// Warning is a message of PHP in place of the data, whatever was asked for.
func Warning() *Fault {
	a := request{json: true}.refuse(http.StatusInternalServerError, phpWarning())
	a.Header.Set("PSWS-Version", "9.1.4")
	return modelshop.Instead(a)
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	a := page(http.StatusOK, "<!DOCTYPE html><html><head><title>Boutique</title></head><body>Soon back.</body></html>")
	return modelshop.Instead(a)
}

// Redirect is what another host name than the shop's own is answered with: the path is lost.
func Redirect(to string) *Fault {
	a := page(http.StatusFound, "")
	a.Header.Set("Location", to+"/?url=customers&output_format=JSON&limit=1")
	return modelshop.Instead(a)
}

// Truncated sends half of the true answer and drops the connection.
func Truncated() *Fault { return modelshop.Truncated() }

// Latency sends the true answer late.
func Latency(d time.Duration) *Fault { return modelshop.Latency(d) }

// Forbid takes the right to read resources from every key; Allow gives them back.
func (s *Shop) Forbid(resources ...string) { s.rights(true, resources) }

// Allow gives rights back.
func (s *Shop) Allow(resources ...string) { s.rights(false, resources) }

func (s *Shop) rights(forbidden bool, resources []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range resources {
		s.forbidden[r] = forbidden
	}
}

// SwitchOff is the webservice's own switch in the back office.
func (s *Shop) SwitchOff(off bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disabled = off
}

// Print lets a module print a text before every answer with data; "" ends it.
func (s *Shop) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.junk = text
}

// Stumble lets a module cause a PHP warning for one row, which breaks every answer that holds it. ids: also lists of ids.
func (s *Shop) Stumble(resource string, id int64, ids bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stumbles[stumble{resource, id, ids}] = true
}

// Mend ends every stumbling.
func (s *Shop) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.stumbles)
}
