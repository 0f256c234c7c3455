package wooshop

import (
	"net/http"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// Fault is something that goes wrong with one answer. Use the constructors.
type Fault = modelshop.Fault

// Throttled is a 429 that asks to wait.
func Throttled(after time.Duration) *Fault {
	a := errorBody(http.StatusTooManyRequests, "too_many_requests", "Too many requests.")
	a.Header.Set("Content-Type", "application/json")
	return modelshop.Throttled(a, after)
}

// ServerError is a 500 of PHP.
func ServerError() *Fault {
	a := errorBody(http.StatusInternalServerError, "internal_server_error", "There has been a critical error on this website.")
	a.Header.Set("Content-Type", "application/json")
	return modelshop.Instead(a)
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	return modelshop.Instead(reply{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/html; charset=UTF-8"}},
		Body: []byte("<!DOCTYPE html><html><head><title>Atelier</title></head><body>Soon back.</body></html>"),
	})
}

// Redirect is what plain permalinks answer: 301 to somewhere else.
func Redirect(to string) *Fault {
	return modelshop.Instead(reply{Status: http.StatusMovedPermanently, Header: http.Header{
		"Content-Type": {"text/html; charset=UTF-8"}, "Location": {to}, "X-Redirect-By": {"WordPress"},
	}})
}

// Truncated sends half of the true answer and drops the connection.
func Truncated() *Fault { return modelshop.Truncated() }

// Latency sends the true answer late.
func Latency(d time.Duration) *Fault { return modelshop.Latency(d) }
