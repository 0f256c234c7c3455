package magshop

import (
	"net/http"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// Fault is something that goes wrong with one answer. Use the constructors.
type Fault = modelshop.Fault

// Throttled is a 429 of the proxy before the shop.
func Throttled(after time.Duration) *Fault {
	a := refuse(http.StatusTooManyRequests, "Too Many Requests", nil)
	return modelshop.Throttled(a, after)
}

// ServerError is a 500 of the shop's own, with a report id.
func ServerError() *Fault {
	a := crash()
	return modelshop.Instead(a)
}

// Maintenance is a 503 with a web page and no Retry-After.
func Maintenance() *Fault {
	a := page(http.StatusServiceUnavailable, "Error 503: Service Unavailable")
	return modelshop.Instead(a)
}

// WebPage is a page with status 200 where data should be.
func WebPage() *Fault {
	a := page(http.StatusOK, "Boutique")
	return modelshop.Instead(a)
}

// Truncated sends half of the true answer and drops the connection.
func Truncated() *Fault { return modelshop.Truncated() }

// Latency sends the true answer late.
func Latency(d time.Duration) *Fault { return modelshop.Latency(d) }
