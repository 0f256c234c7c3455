package push_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
)

func record(t *testing.T, text string) push.Record {
	t.Helper()
	b, err := push.Decode([]byte(`{"records":[` + text + `]}`))
	if err != nil {
		t.Fatal(err)
	}
	return b.Records[0]
}

func TestAmountsAreMinorUnitsOfTheirCurrency(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount, currency string
		want             int64
	}{
		{`"64.80"`, "EUR", 6480},
		{`64.8`, "EUR", 6480},
		{`"993.56"`, "JPY", 994},
		{`"1.2345"`, "BHD", 1234},
		{`"0.125"`, "EUR", 12},
		{`"-14.97"`, "eur", -1497},
		{`19.989999999999998`, "EUR", 1999},
		{`"  7 "`, "EUR", 700},
	} {
		r := record(t, fmt.Sprintf(`{"kind":"order","id":1,"sequence":1,"data":{"state":"completed","currency":%q,"total":%s,"placed_at":"2026-11-20T09:30:00+01:00"}}`, c.currency, c.amount))
		if len(r.Problems) > 0 {
			t.Errorf("%s %s: %v", c.amount, c.currency, r.Problems)
			continue
		}
		o, ok := r.Facts[0].Body.(*crm.Order)
		if !ok || o.Total != c.want || o.Currency != strings.ToUpper(c.currency) || !o.CountsAsSale {
			t.Errorf("%s %s: %+v", c.amount, c.currency, o)
		}
	}
}

// Every mistake is told with its place and a sentence, and no sentence repeats what was sent.
func TestMistakesAreToldExactlyAndRepeatNoData(t *testing.T) {
	t.Parallel()
	const secret = "Zyx9-somebody"
	order := func(field string) string {
		return `{"kind":"order","id":"1","sequence":1,"data":{"state":"completed","currency":"EUR","total":"1","placed_at":"2026-11-20T09:30:00Z",` + field + `}}`
	}
	for name, c := range map[string]struct{ record, pointer, says string }{
		"typo in a field":        {order(`"custmer_id":"` + secret + `"`), "/records/0/data/custmer_id", "did you mean customer_id?"},
		"a field named by data":  {order(`"` + secret + `@example.com":1`), "/records/0/data", "name is none of ours"},
		"amount in words":        {order(`"shipping":"` + secret + `"`), "/records/0/data/shipping", "decimal point"},
		"amount with a comma":    {order(`"shipping":"4,90"`), "/records/0/data/shipping", "decimal point"},
		"amount with exponent":   {order(`"shipping":1e999999999`), "/records/0/data/shipping", "decimal point"},
		"time without offset":    {order(`"paid_at":"2026-11-20 09:30:00"`), "/records/0/data/paid_at", "offset"},
		"zero date":              {order(`"paid_at":"0000-00-00T00:00:00Z"`), "/records/0/data/paid_at", "instant"},
		"broken e-mail":          {order(`"email":"` + secret + `"`), "/records/0/data/email", "no e-mail address"},
		"text for a list":        {order(`"lines":"` + secret + `"`), "/records/0/data/lines", "must be a list"},
		"line that is none":      {order(`"lines":[{},"` + secret + `"]`), "/records/0/data/lines/1", "must be an object"},
		"typo in a line":         {order(`"lines":[{"qty":1,"quantity":2}]`), "/records/0/data/lines/0/qty", "no field of ours"},
		"negative quantity":      {order(`"lines":[{"quantity":-2}]`), "/records/0/data/lines/0/quantity", "not negative"},
		"too long":               {order(`"number":"` + strings.Repeat("9", 65) + `"`), "/records/0/data/number", "64 characters"},
		"half a base amount":     {order(`"base_total":"3"`), "/records/0/data/base_currency", "missing"},
		"unknown state":          {`{"kind":"order","id":"1","sequence":1,"data":{"state":"complete","currency":"EUR","total":"1","placed_at":"2026-11-20T09:30:00Z"}}`, "/records/0/data/state", "did you mean completed?"},
		"unknown kind":           {`{"kind":"oder","id":"1","sequence":1,"data":{}}`, "/records/0/kind", "did you mean order?"},
		"no id":                  {`{"kind":"category","sequence":1,"data":{"name":"x"}}`, "/records/0/id", "missing"},
		"no sequence":            {`{"kind":"category","id":"1","data":{"name":"x"}}`, "/records/0/sequence", "missing"},
		"no data":                {`{"kind":"category","id":"1","sequence":1}`, "/records/0/data", "missing"},
		"deleted event":          {`{"kind":"event","id":"1","deleted":true}`, "/records/0/deleted", "cannot be deleted"},
		"event of nobody":        {`{"kind":"event","id":"1","data":{"name":"visit","at":"2026-11-20T09:30:00Z"}}`, "/records/0/data/email", "whose is it?"},
		"consent without text":   {`{"kind":"consent","id":"1","data":{"email":"a@b.example","state":"granted","source":"till","at":"2026-11-20T09:30:00Z"}}`, "/records/0/data/text", "agreed to"},
		"consent without proof":  {`{"kind":"consent","id":"1","data":{"email":"a@b.example","state":"granted","text":"Yes"}}`, "/records/0/data/at", "missing"},
		"not an object":          {`"` + secret + `"`, "/records/0", "must be an object"},
		"hint without a kind":    {`{"kind":"hint","data":{"id":1}}`, "/records/0/data/kind", "missing"},
		"negative refund":        {`{"kind":"refund","id":1,"sequence":1,"data":{"order_id":1,"currency":"EUR","amount":"-5","at":"2026-11-20T09:30:00Z"}}`, "/records/0/data/amount", "negative"},
		"recover url of scripts": {`{"kind":"cart","id":1,"sequence":1,"data":{"currency":"EUR","active_at":"2026-11-20T09:30:00Z","recover_url":"javascript:1"}}`, "/records/0/data/recover_url", "https://"},
	} {
		r := record(t, c.record)
		found := false
		for _, p := range r.Problems {
			found = found || p.Pointer == c.pointer && strings.Contains(p.Message, c.says)
			if strings.Contains(p.Pointer+p.Message, secret) {
				t.Errorf("%s: what was sent is repeated: %v", name, p)
			}
		}
		if !found || len(r.Facts) > 0 {
			t.Errorf("%s: %v, facts %d", name, r.Problems, len(r.Facts))
		}
	}
}

func TestOneBadRecordHarmsNoOther(t *testing.T) {
	t.Parallel()
	b, err := push.Decode([]byte(`{"records":[{"kind":"category","id":1,"sequence":1,"data":{"name":"a"}},null,{"kind":"category","id":2,"sequence":1,"data":{"name":"b"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var bad []int
	for _, r := range b.Records {
		bad = append(bad, len(r.Problems))
	}
	if diff := cmp.Diff([]int{0, 1, 0}, bad); diff != "" {
		t.Error(diff)
	}
}

func TestABodyThatIsNoneOfOursIsRefusedAsAWhole(t *testing.T) {
	t.Parallel()
	many := strings.TrimSuffix(strings.Repeat("{},", push.MaxRecords+1), ",")
	for body, says := range map[string]string{
		``:                               "not a JSON object",
		`{"records":[`:                   "not a JSON object",
		`[]`:                             "not a JSON object",
		`null`:                           "not a JSON object",
		`{"records":[]}`:                 "empty",
		`{"record":[{}]}`:                "did you mean records?",
		`{"records":{}}`:                 "must be a list",
		`{"records":[{}],"history":"x"}`: "true or false",
		`{"records":[{}]} {}`:            "follows",
		`{"records":[` + many + `]}`:     "at most 500",
		`{"records":[{},]}`:              "not JSON",
	} {
		_, err := push.Decode([]byte(body))
		if bad, ok := errors.AsType[*push.FormatError](err); !ok || !strings.Contains(bad.Error(), says) {
			t.Errorf("%.40q: %v, want %q", body, err, says)
		}
	}
}

func TestWhatPHPWritesIsUnderstood(t *testing.T) {
	t.Parallel()
	r := record(t, `{"kind":"order","id":1001,"sequence":"1764000000000","data":{"number":1001,"customer_id":0,"email":null,"state":"accepted","currency":"EUR",
	 "total":"19.9000","placed_at":"2026-11-20T09:30:00+01:00","attribution":[],"counts_as_sale":"1","coupons":["A",7],"lines":[{"id":5,"quantity":"1.00","total":"19.90"},{"quantity":"1.50"}]}}`)
	if len(r.Problems) > 0 {
		t.Fatal(r.Problems)
	}
	o, ok := r.Facts[0].Body.(*crm.Order)
	if !ok || r.Ref.ID != "1001" || r.Sequence != 1764000000000 || o.CustomerID != "" || o.Total != 1990 || o.Number != "1001" {
		t.Errorf("%+v %+v", r, o)
	}
	if diff := cmp.Diff([]int64{1, 2}, []int64{o.Lines[0].Quantity, o.Lines[1].Quantity}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"A", "7"}, o.Coupons); diff != "" {
		t.Error(diff)
	}
}

func TestACartIsClosedByWhatItSays(t *testing.T) {
	t.Parallel()
	r := record(t, `{"kind":"cart","id":"c","sequence":2,"data":{"currency":"EUR","active_at":"2026-11-20T09:30:00Z","closed_by":"ordered","closed_at":"2026-11-20T10:00:00Z"}}`)
	c, ok := r.Facts[0].Body.(*crm.Cart)
	if !ok || !r.Facts[0].Gone || c.ClosedBy != "ordered" || c.ClosedAt == 0 {
		t.Errorf("%+v %v", r.Facts, r.Problems)
	}
	if r := record(t, `{"kind":"cart","id":"c","sequence":3,"deleted":true}`); len(r.Facts) != 1 || !r.Facts[0].Gone {
		t.Errorf("%+v", r)
	}
}

// FuzzDecode: whatever the bytes, nothing panics, and what is not rejected carries exactly what can be stored.
func FuzzDecode(f *testing.F) {
	var doc struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Examples map[string]struct{ Value json.RawMessage }
				}
			}
		}
	}
	if err := json.Unmarshal(push.OpenAPI(), &doc); err != nil {
		f.Fatal(err)
	}
	for _, ex := range doc.Paths["/v1/shops/{shop}/records"]["post"].RequestBody.Content["application/json"].Examples {
		f.Add([]byte(ex.Value))
	}
	f.Add([]byte(`{"records":[{"kind":"order","id":"\u0000","sequence":1e9,"data":[]}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := push.Decode(body)
		if err != nil {
			if _, ok := errors.AsType[*push.FormatError](err); !ok || len(b.Records) > 0 {
				t.Fatalf("%v with %d records", err, len(b.Records))
			}
			return
		}
		for _, r := range b.Records {
			switch {
			case len(r.Problems) > 0:
				if len(r.Facts) > 0 || r.Hint.ID != "" {
					t.Fatalf("a rejected record would be stored: %v", r.Problems)
				}
			case r.Ref.Kind == push.KindHint:
				if r.Hint.ID == "" || r.Hint.Kind == "" || len(r.Facts) > 0 {
					t.Fatalf("%+v", r)
				}
			default:
				sound(t, r)
			}
			if !json.Valid(r.Raw) {
				t.Fatalf("raw is %q", r.Raw)
			}
		}
	})
}

func sound(t *testing.T, r push.Record) {
	t.Helper()
	if r.Ref.ID == "" || len([]rune(r.Ref.ID)) > 64 || r.Sequence < 1 || len(r.Facts) == 0 {
		t.Fatalf("%+v", r)
	}
	for _, f := range r.Facts {
		if f.Ref != r.Ref || f.Body == nil {
			t.Fatalf("%+v", f)
		}
	}
}
