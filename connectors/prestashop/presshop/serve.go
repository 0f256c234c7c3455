package presshop

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the header of PrestaShop that it goes into is one
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/relance/relance/connectors/modelshop"
)

// reply is an answer before it is written.
type reply = modelshop.Reply

// ServeHTTP answers as /api/ and /webservice/dispatcher.php do.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := s.opts.Clock().UTC()
	f := s.Take(r)
	a := s.answer(r, now)
	a.Header.Set("Date", now.Format(http.TimeFormat))
	f.Send(w, r, a)
}

// request is one question to the webservice.
type request struct {
	path   string
	q      url.Values
	json   bool
	key    string
	method string
	body   []byte
}

func (s *Shop) answer(r *http.Request, now time.Time) reply {
	req, ok := s.routed(r)
	if !ok {
		return page(http.StatusNotFound, "<!DOCTYPE HTML><html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>")
	}
	if req.key == "" {
		a := page(http.StatusUnauthorized, "401 "+http.StatusText(http.StatusUnauthorized))
		a.Header.Set("WWW-Authenticate", realm)
		return a
	}
	s.mu.Lock()
	a := s.handle(req)
	junk := s.junk
	s.mu.Unlock()
	h := a.Header
	if a.Status == http.StatusInternalServerError && len(a.Body) == 0 {
		return a // a fatal error of PHP: the webservice did not come to its headers
	}
	h.Set("Access-Time", strconv.FormatInt(now.Unix(), 10))
	h.Set("X-Powered-By", "PrestaShop Webservice")
	h.Set("Execution-Time", "0.004")
	h.Set("Set-Cookie", "PrestaShop-loopback=def50200; path=/; HttpOnly; SameSite=Lax")
	if h.Get("PSWS-Version") == "" {
		h.Set("PSWS-Version", s.opts.Version)
	}
	if a.Status == http.StatusOK {
		sum := sha1.Sum(a.Body) //nolint:gosec // as PrestaShop does
		h.Set("Content-Sha1", hex.EncodeToString(sum[:]))
		a.Body = append([]byte(junk), a.Body...)
	}
	return a
}

const realm = `Basic realm="Welcome to PrestaShop Webservice, please enter the authentication key as the login. No password required."`

func page(status int, body string) reply {
	return reply{Status: status, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, Body: []byte(body)}
}

// routed reads a request; ok is false for what the web server does not pass on.
func (s *Shop) routed(r *http.Request) (request, bool) {
	req := request{q: r.URL.Query(), method: r.Method}
	path, ok := strings.CutPrefix(r.URL.Path, "/api")
	switch {
	case r.URL.Path == "/webservice/dispatcher.php":
		path = req.q.Get("url")
	case !ok || s.opts.NoRewriting:
		return req, false
	}
	req.path = strings.Trim(path, "/")
	if user, _, ok := r.BasicAuth(); ok && !s.opts.DropsHeader {
		req.key = user
	} else {
		req.key = req.q.Get("ws_key")
	}
	format := req.q.Get("output_format") + req.q.Get("io_format") + r.Header.Get("Io-Format") + r.Header.Get("Output-Format")
	req.json = format == "JSON" // upper case only; Accept is ignored
	if r.Body != nil {
		req.body, _ = io.ReadAll(io.LimitReader(r.Body, 1<<20)) // a broken body is an empty one
	}
	return req, true
}

// handle answers within the webservice. The lock is held.
func (s *Shop) handle(req request) reply {
	own := s.opts.Key[:len(s.opts.Key)-1]
	switch {
	case s.disabled:
		return unknown(req.refuse(http.StatusServiceUnavailable, said{22, "The PrestaShop webservice is disabled. Please activate it in the PrestaShop Back Office"}))
	case len(req.key) != 32:
		return unknown(req.refuse(http.StatusUnauthorized, said{18, "Invalid authentication key format"}))
	case req.key == own+"N" && req.key != s.opts.Key:
		return unknown(req.refuse(http.StatusUnauthorized, said{21, "No permission for this authentication key"}))
	case req.key != s.opts.Key && req.key != own+"R":
		return unknown(req.refuse(http.StatusUnauthorized, said{20, "Authentification key is not active"}, said{21, "No permission for this authentication key"}))
	case req.path == "" && req.json:
		return page(http.StatusInternalServerError, "") // a fatal error of PHP
	case req.path == "":
		return s.index(req)
	}
	name, id, single := strings.Cut(req.path, "/")
	t := s.tables[name]
	switch {
	case t == nil:
		return req.refuse(http.StatusBadRequest, said{27, fmt.Sprintf(`Resource of type "%s" does not exists. Did you mean: "zones"? The full list is: %q`, name, slices.Sorted(maps.Keys(s.tables)))})
	case s.forbidden[name]:
		return req.refuse(http.StatusUnauthorized, said{26, fmt.Sprintf(`Resource of type "%s" is not allowed with this authentication key`, name)})
	case req.method == http.MethodPatch && s.mayPatch(req, name):
		return s.patch(req, id)
	case req.method == http.MethodPut && s.mayPut(req, name):
		return req.refuse(http.StatusBadRequest, said{41, `parameter "passwd" required`})
	case req.method != http.MethodGet && req.method != http.MethodHead:
		return req.refuse(http.StatusMethodNotAllowed, said{25, fmt.Sprintf("Method %s is not allowed for the resource %s with this authentication key", req.method, name)})
	}
	if single {
		n, _ := strconv.ParseInt(id, 10, 64) // no number is no row
		r := s.find(name, n)
		if r == nil {
			return reply{Status: http.StatusNotFound, Header: http.Header{"Content-Type": {""}}}
		}
		if req.q.Get("display") == "" {
			return req.data(fmt.Appendf(nil, `{"%s":%s}`, strings.TrimSuffix(node(name), "s"), r.detail(s.style())))
		}
		req.q.Set("filter[id]", "["+id+"]")
	}
	return s.list(req, t)
}

func (s *Shop) mayPatch(req request, name string) bool {
	return name == "customers" && !strings.HasPrefix(s.opts.Version, "1.") && req.key == s.opts.Key
}

func (s *Shop) mayPut(req request, name string) bool {
	return name == "customers" && req.key == s.opts.Key
}

func (s *Shop) style() style { return style{strings: s.opts.StringNumbers, single: s.opts.OneLanguage} }

// node is the name under which a list comes.
func node(resource string) string {
	if resource == "order_slip" {
		return "order_slips"
	}
	return resource
}

// data is a 200 in the form that was asked for; of XML only that it is XML.
func (req request) data(body []byte) reply {
	if !req.json {
		return reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml;charset=utf-8"}}, Body: []byte(xmlHead + "<list/>\n</prestashop>\n")}
	}
	return reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
}

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<prestashop xmlns:xlink=\"http://www.w3.org/1999/xlink\">\n"

// said is an error of the webservice.
type said struct {
	code int
	text string
}

func (req request) refuse(status int, errs ...said) reply {
	var b bytes.Buffer
	h := http.Header{}
	if req.json {
		h.Set("Content-Type", "application/json")
		b.WriteString(`{"errors":[`)
		for i, e := range errs {
			if i > 0 {
				b.WriteByte(',')
			}
			text := strings.ReplaceAll(strconv.Quote(e.text), "/", `\/`)
			fmt.Fprintf(&b, `{"code":%d,"message":%s}`, e.code, text)
		}
		b.WriteString("]}")
		return reply{Status: status, Header: h, Body: b.Bytes()}
	}
	h.Set("Content-Type", "text/xml;charset=utf-8")
	b.WriteString(xmlHead + "<errors>\n")
	for _, e := range errs {
		fmt.Fprintf(&b, "<error>\n<code><![CDATA[%d]]></code>\n<message><![CDATA[%s]]></message>\n</error>\n", e.code, e.text)
	}
	b.WriteString("</errors>\n</prestashop>\n")
	return reply{Status: status, Header: h, Body: b.Bytes()}
}

// unknown is an answer to nobody: the version is kept back.
func unknown(a reply) reply {
	a.Header.Set("PSWS-Version", "0")
	if a.Status == http.StatusUnauthorized {
		a.Header.Set("WWW-Authenticate", realm)
	}
	return a
}

// index lists what the key may do.
func (s *Shop) index(req request) reply {
	var b bytes.Buffer
	b.WriteString(xmlHead + `<api shopName="La Boutique d’Éloïse">` + "\n")
	for _, name := range slices.Sorted(maps.Keys(s.tables)) {
		if s.forbidden[name] {
			continue
		}
		rights := fmt.Sprintf(`get="true" put="false" post="false" patch="%v" delete="false" head="true"`, s.mayPatch(req, name))
		fmt.Fprintf(&b, "<%s xlink:href=\"http://shop-a.example.com/api/%s\" %s>\n<description %s>\nThe %s</description>\n</%s>\n", name, name, rights, rights, name, name)
	}
	b.WriteString("</api>\n</prestashop>\n")
	return reply{Status: http.StatusOK, Header: http.Header{"Content-Type": {"text/xml;charset=utf-8"}}, Body: b.Bytes()}
}

// patch changes the fields that an XML body names. A body in JSON is a fatal mistake.
func (s *Shop) patch(req request, id string) reply {
	var w struct {
		Customer struct {
			ID     int64 `xml:"id"`
			Fields []struct {
				XMLName xml.Name
				Value   string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"customer"`
	}
	if xml.Unmarshal(req.body, &w) != nil {
		return req.refuse(http.StatusInternalServerError,
			said{3, "[PHP Warning #2] SimpleXMLElement::__construct(): Entity: line 1: parser error : Start tag expected, '<' not found (/var/www/html/classes/webservice/WebserviceRequest.php, line 1510)"},
			said{127, "XML error : String could not be parsed as XML"})
	}
	n, _ := strconv.ParseInt(id, 10, 64) // no number is no row
	r := s.find("customers", n)
	if r == nil || w.Customer.ID != n {
		return reply{Status: http.StatusNotFound, Header: http.Header{"Content-Type": {""}}}
	}
	for _, f := range w.Customer.Fields {
		r.set(f.XMLName.Local, f.Value)
	}
	r.set("date_upd", s.local())
	shown := &row{object: r.clone(), lists: r.lists, linked: r.linked}
	shown.set("id", id)
	return req.data(fmt.Appendf(nil, `{"customer":%s}`, shown.detail(s.style())))
}
