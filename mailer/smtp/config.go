// Package smtp hands mails to a mail server: an agency's own, or the relay of a provider that has no API of its own here.
// The message, EHLO, STARTTLS and the log-in are go-mail's; the conversation about a mail is our own, for what becomes of a
// mail depends on how far it came.
package smtp

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/fault"
)

// Config is the `smtp:` block of an audience.
type Config struct {
	Host        string `yaml:"host" jsonschema:"description=name of the mail server,example=smtp.boutique.example"`
	Port        int    `yaml:"port" jsonschema:"minimum=1,maximum=65535,description=587; or 465 with tls: implicit"`
	User        string `yaml:"user" jsonschema:"description=to log in with; none when absent"`
	Password    string `yaml:"password"`
	TLS         string `yaml:"tls" jsonschema:"enum=starttls,enum=implicit,enum=none,description=starttls when absent and never without it; none only for a server on this machine"`
	Name        string `yaml:"name" jsonschema:"description=how we call ourselves (EHLO); the machine's name when absent"`
	CAFile      string `yaml:"ca_file" jsonschema:"description=PEM file of a private certificate authority to trust"`
	Connections int    `yaml:"connections" jsonschema:"minimum=1,maximum=100,description=how many may be open at once; 8 when absent"`
}

// The ways to encrypt.
const (
	tlsStart    = "starttls"
	tlsImplicit = "implicit"
	tlsNone     = "none"
)

const (
	standardConnections = 8
	mostConnections     = 100
)

// Validate finds mistakes in the block; paths are relative to it.
func (c Config) Validate() []fault.Problem {
	var out []fault.Problem
	bad := func(path, message, want string) {
		out = append(out, fault.Problem{Path: path, Message: message, Want: want})
	}
	hostname := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,252})$`)
	switch {
	case c.Host == "":
		bad("$.host", "there is no mail server", "smtp.host: the name of the mail server; its port goes into smtp.port")
	case !hostname.MatchString(c.Host) && net.ParseIP(c.Host) == nil:
		bad("$.host", "this is no name of a server", "a name alone, such as smtp.boutique.example; its port goes into port")
	}
	if c.Port < 0 || c.Port > 65535 {
		bad("$.port", "there is no such port", "587, or 465 with tls: implicit")
	}
	switch {
	case c.User != "" && c.Password == "":
		bad("$.password", "there is a user and no password", "password or password_file")
	case c.User == "" && c.Password != "":
		bad("$.user", "there is a password and no user", "user: the name to log in with")
	}
	switch c.TLS {
	case "", tlsStart, tlsImplicit:
	case tlsNone:
		if !loopback(c.Host) && c.Host != "" {
			bad("$.tls", "without TLS everybody on the way could read mails and password", "starttls or implicit; none is for a server on this machine")
		}
	default:
		bad("$.tls", fmt.Sprintf("tls cannot be %q", c.TLS), "one of starttls, implicit, none")
	}
	if c.Name != "" && !hostname.MatchString(c.Name) {
		bad("$.name", "this is no name of a machine", "a name such as relance.boutique.example")
	}
	if _, err := os.Stat(c.CAFile); c.CAFile != "" && err != nil {
		bad("$.ca_file", "ca_file cannot be read", "the path of a PEM file that exists")
	}
	if c.Connections < 0 || c.Connections > mostConnections {
		bad("$.connections", "so many connections are too many", "1 to 100; the mail server's own limit is often 10 to 50")
	}
	return out
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c Config) address() string {
	port := c.Port
	switch {
	case port != 0:
	case c.TLS == tlsImplicit:
		port = 465
	default:
		port = 587
	}
	return net.JoinHostPort(c.Host, strconv.Itoa(port))
}

func (c Config) connections() int {
	if c.Connections == 0 {
		return standardConnections
	}
	return c.Connections
}

// name is what we call ourselves. Submission servers do not mind; others want a name with a dot.
func (c Config) name() string {
	if c.Name != "" {
		return c.Name
	}
	if host, err := os.Hostname(); err == nil && strings.Contains(host, ".") {
		return host
	}
	return "localhost"
}
