package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// knownHost refuses requests whose Host is a name that we are not known by: a page elsewhere may point its own name
// at 127.0.0.1 and would read this surface through the visitor's browser (DNS rebinding).
func (a *admin) knownHost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hostAllowed(r.Host, a.o.Hosts) {
			sentence(w, http.StatusMisdirectedRequest, "this name is not one that the admin listener answers to: add it to admin hosts")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hostAllowed(hostport string, extra []string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	return slices.ContainsFunc(extra, func(e string) bool { return strings.EqualFold(e, host) })
}

// maskEmail keeps enough to recognise one's own test: "an•••@boutique.example".
func maskEmail(s string) string {
	local, domain, ok := strings.Cut(s, "@")
	if !ok {
		return "•••"
	}
	runes := []rune(local)
	return string(runes[:min(2, len(runes)/2)]) + "•••@" + domain
}
