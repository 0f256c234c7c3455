package rest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/relance/relance/internal/fault"
)

// Address is what a connector asks of a shop's `url:` and `ca_file:`.
type Address struct {
	URL, CAFile string
	API         string // path of the platform's API, which does not belong into the address: "/wp-json"
	Plain       bool   // requests are signed: over plain http no key is on the wire
}

// Check finds what can be seen to be wrong without asking. Paths are below the platform's block.
func (a Address) Check() []fault.Problem {
	var ps []fault.Problem
	if msg, want := a.wrong(); msg != "" {
		ps = append(ps, fault.Problem{Path: "$.url", Message: msg, Want: want})
	}
	if a.CAFile != "" {
		if _, err := os.Stat(a.CAFile); err != nil {
			ps = append(ps, fault.Problem{Path: "$.ca_file", Message: "ca_file cannot be read", Want: "the path of a PEM file that exists"})
		}
	}
	return ps
}

func (a Address) wrong() (msg, want string) {
	want = "the shop's address, for example https://boutique.example.com"
	if a.URL == "" {
		return "url is missing", want
	}
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Host == "":
		return "url is not a web address", want
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "url holds more than an address", want + "; keys belong into fields of their own"
	case strings.Contains(strings.TrimRight(u.Path, "/")+"/", a.API+"/"):
		return "url holds the path of the API", want + ", without " + a.API
	case u.Scheme == "http" && !a.Plain && !Loopback(u.Hostname()):
		return "plain http would show the key to everybody on the way", "https://" + u.Host
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Sprintf("scheme %q is not understood", u.Scheme), want
	}
	return "", ""
}

// Loopback tells whether a host is this machine.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
