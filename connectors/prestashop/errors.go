package prestashop

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/relance/relance/connectors/lenient"
	"github.com/relance/relance/connectors/rest"
	"github.com/relance/relance/internal/fault"
)

// refused is an answer that is no record: decided by status and the first code alone, because shops translate messages.
type refused struct {
	status int
	code   int    // of the first error; 0 when there is none
	field  string // the field that code 35 complains of
	where  string // file and line that a PHP message names
	bare   bool   // PrestaShop saw no key at all
	away   bool   // the answer is the web server's own: PrestaShop's webservice was not reached
	body   []byte
}

func (r *refused) Error() string {
	switch {
	case r.php():
		return fmt.Sprintf("the shop answered %d because of a PHP message%s", r.status, r.where)
	case r.code != 0:
		return fmt.Sprintf("the shop answered %d with error %d", r.status, r.code)
	}
	return fmt.Sprintf("the shop answered %d", r.status)
}

// php: a warning, notice or deprecation of PHP took the place of the data (codes 2 to 15).
func (r *refused) php() bool { return r.code >= 2 && r.code <= 15 }

// Codes of the webservice's errors.
const (
	codeKeyIsEmpty    = 17
	codeKeyFormat     = 18
	codeKeyInactive   = 20
	codeKeyNoRights   = 21
	codeDisabled      = 22
	codeMethod        = 25
	codeRight         = 26
	codeResource      = 27
	codeField         = 35
	codeShop          = 132
	firstRequestError = 28
	lastRequestError  = 40
)

const (
	hintAddress = "This is not the address that the shop knows as its own, so it sends visitors elsewhere: give the address under Shop Parameters → Traffic & SEO → Shop URL, with https and with or without www as there."
	hintKey     = "The shop does not know this webservice key, or it is switched off or has no right: look under Advanced Parameters → Webservice and copy the key again."
	hintBare    = "The shop saw no key, because its web server drops it: in .htaccess let the Authorization header through (PrestaShop's own .htaccess does), or run PHP so that it receives it."
	hintOff     = "The webservice is switched off: switch it on under Advanced Parameters → Webservice → Enable PrestaShop's webservice."
	hintShop    = "The webservice key is not meant for this shop of a multi-shop: tick the shop in the key's own settings."
	hintNone    = "There is no PrestaShop webservice at this address: check url, and that the server rewrites addresses (Shop Parameters → Traffic & SEO → Friendly URL)."
	hintWall    = "A firewall or maintenance page stands before /api: let the address of this machine through."
	hintRequest = "This shop's webservice refuses a question that Relance asks: switch off modules that change it, or report it."
	hintXML     = "Something between the shop and Relance drops parameters of the address: /api must be answered by PrestaShop itself, without a cache."
	hintCache   = "Something caches the webservice: leave /api/ out of the cache of the shop, its proxy or its CDN."
	hintPHP     = "A module or override of the shop prints PHP messages into every answer of the webservice: mend or switch off what the message names, or set display and reporting of PHP notices off."
)

// phpHome finds file and line at the end of a PHP message; nothing before it is shown, for it can quote data.
func phpHome(message string) string {
	m := regexp.MustCompile(`\(([^()\s]{1,200}), line (\d{1,7})\)\s*$`).FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	file := m[1]
	if i := strings.Index(file, "/modules/"); i >= 0 {
		file = file[i+1:]
	} else if i := strings.LastIndexByte(file, '/'); i >= 0 {
		file = file[i+1:]
	}
	return " (" + file + ", line " + m[2] + ")"
}

// refusal classifies everything but a 200 or 201 with data; nil for that.
func refusal(op string, a rest.Answer) error {
	html := rest.IsHTML(a) && !isXML(a)
	r := &refused{status: a.Status, body: a.Body, away: a.Header.Get("PSWS-Version") == "" && a.Header.Get("Access-Time") == ""}
	if a.Status >= http.StatusBadRequest {
		r.read(a.Body)
		r.bare = a.Status == http.StatusUnauthorized && r.code == 0 && string(bytes.TrimSpace(a.Body)) == "401 "+http.StatusText(http.StatusUnauthorized)
	}
	if r.code != codeDisabled {
		if f := rest.Throttled(op, a); f != nil {
			f.Err = r
			return f
		}
	}
	f := &fault.Error{Class: fault.Operator, Op: op, Err: r}
	switch {
	case (a.Status == http.StatusOK || a.Status == http.StatusCreated) && !html:
		return nil
	case a.Status == http.StatusOK:
		f.Err, f.Hint = errors.New("the shop answered with a web page instead of data"), hintWall
	case a.Status >= 300 && a.Status < 400:
		f.Err, f.Hint = fmt.Errorf("the shop redirects (%d), which is not followed with a key", a.Status), hintAddress
	case r.code != 0 && !r.php():
		f.Hint = hintFor(r)
	case r.bare:
		f.Hint = hintBare
	case a.Status >= 500 && a.Status != http.StatusNotImplemented, a.Status == http.StatusRequestTimeout, a.Status < 300:
		f.Class = fault.Retry
	case a.Status == http.StatusNotFound:
		f.Hint = hintNone
	case html || a.Status == http.StatusForbidden:
		f.Hint = hintWall
	case a.Status == http.StatusUnauthorized:
		f.Hint = hintKey
	default:
		f.Hint = hintRequest
	}
	return f
}

func hintFor(r *refused) string {
	switch r.code {
	case codeKeyIsEmpty, codeKeyFormat, codeKeyInactive, codeKeyNoRights, 19:
		return hintKey
	case codeDisabled:
		return hintOff
	case codeShop:
		return hintShop
	}
	return hintRequest
}

// isXML: PrestaShop answers XML when it did not see that JSON was asked for, which is no web page.
func isXML(a rest.Answer) bool {
	t := a.Header.Get("Content-Type")
	return strings.HasPrefix(t, "text/xml") || strings.HasPrefix(t, "application/xml") || bytes.HasPrefix(bytes.TrimSpace(a.Body), []byte("<?xml"))
}

// read finds the first error of a JSON or XML body: the ones after it are PHP's complaints about PrestaShop's own code.
func (r *refused) read(body []byte) {
	type said struct {
		Code    lenient.Text `json:"code" xml:"code"`
		Message lenient.Text `json:"message" xml:"message"`
	}
	var w struct {
		Errors lenient.List[said] `json:"errors"`
	}
	if err := json.Unmarshal(cut(body, "errors"), &w); err != nil || len(w.Errors) == 0 {
		var x struct {
			Errors []said `xml:"errors>error"`
		}
		if xml.Unmarshal(body, &x) != nil {
			return
		}
		w.Errors = x.Errors
	}
	if len(w.Errors) == 0 {
		return
	}
	first := w.Errors[0]
	code, err := strconv.Atoi(strings.TrimSpace(string(first.Code)))
	if err != nil || code <= 0 {
		return
	}
	r.code = code
	if r.php() {
		r.where = phpHome(string(first.Message))
	}
	if m := regexp.MustCompile(`"([A-Za-z0-9_]{1,64})"`).FindStringSubmatch(string(first.Message)); m != nil && code == codeField {
		r.field = m[1]
	}
}

func asRefused(err error) *refused {
	r, _ := errors.AsType[*refused](err)
	return r
}

// forbidden: the key has no right to this resource, or this version has no such resource.
func forbidden(err error) bool {
	r := asRefused(err)
	return r != nil && (r.code == codeRight || r.code == codeResource)
}

// brokenRow tells whether the answer failed because of one of its rows, perhaps.
func brokenRow(err error) bool {
	r := asRefused(err)
	return r != nil && r.php() && r.status >= 500
}
