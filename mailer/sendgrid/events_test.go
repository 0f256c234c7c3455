package sendgrid

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/sendgrid/sendgridtest"
)

func pkix(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

func TestAKeyThatIsNoneIsRefusedWithoutPanic(t *testing.T) {
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rivest, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	whole := pkix(t, &good.PublicKey)
	for name, text := range map[string]string{
		"empty": "", "junk": "§§§", "not a key": "aGVsbG8=", "Ed25519": pkix(t, edwards), "RSA": pkix(t, &rivest.PublicKey), "half": whole[:40], "twice": whole + whole,
		"an API key": key,
	} {
		k, err := ParseEventKey(text)
		if err == nil {
			t.Errorf("%s was taken for a key", name)
		}
		if text != "" && err != nil && strings.Contains(err.Error(), text) {
			t.Errorf("%s: the error quotes it", name)
		}
		if k.Verify(http.Header{}, nil) == nil {
			t.Errorf("%s verifies", name)
		}
	}
	for _, text := range []string{whole, " " + whole[:64] + "\n  " + whole[64:] + "\n"} {
		if _, err := ParseEventKey(text); err != nil {
			t.Error(err)
		}
	}
	if p := (Config{APIKey: "SG.x", WebhookKey: "junk"}).Validate(); len(p) != 1 || p[0].Path != "$.webhook_key" {
		t.Error(p)
	}
}

func TestOnlyWhatSendGridSignedVerifies(t *testing.T) {
	sg, other := sendgridtest.New(t), sendgridtest.New(t)
	k, err := ParseEventKey(sg.WebhookKey())
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("[{\"event\":\"open\"}]\r\n")
	signed := func(change func(h http.Header)) http.Header {
		h := http.Header{}
		sg.Sign(h, body, time.Now())
		change(h)
		return h
	}
	const sign, stamp = eventwebhook.VerificationHTTPHeader, eventwebhook.TimestampHTTPHeader
	if err := k.Verify(signed(func(http.Header) {}), body); err != nil {
		t.Fatal(err)
	}
	old := http.Header{}
	sg.Sign(old, body, time.Now().Add(-30*time.Hour))
	if err := k.Verify(old, body); err != nil {
		t.Error("a repeat of yesterday's delivery is refused:", err)
	}
	raw := func(h http.Header) []byte { b, _ := base64.StdEncoding.DecodeString(h.Get(sign)); return b }
	for name, h := range map[string]http.Header{
		"nothing":            {},
		"no signature":       signed(func(h http.Header) { h.Del(sign) }),
		"an empty signature": signed(func(h http.Header) { h.Set(sign, "") }),
		"no timestamp":       signed(func(h http.Header) { h.Del(stamp) }),
		"another timestamp":  signed(func(h http.Header) { h.Set(stamp, "1") }),
		"junk":               signed(func(h http.Header) { h.Set(sign, "junk!") }),
		"base64 of junk":     signed(func(h http.Header) { h.Set(sign, "aGVsbG8=") }),
		"an empty sequence":  signed(func(h http.Header) { h.Set(sign, base64.StdEncoding.EncodeToString([]byte{0x30, 0})) }),
		"zeros":              signed(func(h http.Header) { h.Set(sign, base64.StdEncoding.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})) }),
		"trailing bytes":     signed(func(h http.Header) { h.Set(sign, base64.StdEncoding.EncodeToString(append(raw(h), 0))) }),
		"two signatures":     signed(func(h http.Header) { h.Add(sign, h.Get(sign)) }),
		"another's":          signed(func(h http.Header) { other.Sign(h, body, time.Now()) }),
	} {
		if k.Verify(h, body) == nil {
			t.Errorf("%s verifies", name)
		}
	}
	for name, changed := range map[string]string{"a flipped byte": strings.Replace(string(body), "open", "opem", 1), "without the line break": strings.TrimSpace(string(body)), "empty": ""} {
		if k.Verify(signed(func(http.Header) {}), []byte(changed)) == nil {
			t.Errorf("a body %s verifies", name)
		}
	}
}

func TestEventsAreReadInEveryForm(t *testing.T) {
	const body = `[
 {"email":"zoe@example.com","timestamp":1763640000,"event":"processed","sg_event_id":"e1","sg_message_id":"abc.filter0001.16648.5515E0B88.0","send_id":"1k2","step":"first","category":"win_back"},
 {"email":"zoe@example.com","timestamp":"1763640001","event":"delivered","sg_event_id":"e2","sg_message_id":"abc.recvd-canary-1.0","category":["win_back"],"custom_args":{"send_id":"1k2"},"tls":1,"cert_err":0,"pool":{"name":"x","id":1}},
 {"timestamp":1763640002.5,"event":"open","sg_event_id":"e3","smtp-id":"<abc@geopod-ismtpd-6>","useragent":"Mozilla/5.0","ip":"203.0.113.9","sg_machine_open":true},
 {"timestamp":1763640003,"event":"click","sg_event_id":"e4","url":"https://x.example/?a=b","url_offset":{"index":0,"type":"html"},"send_id":"no send of ours!","future_field":[1,{"a":null}]},
 {"timestamp":1763640004,"event":"bounce","sg_event_id":"e5","type":"bounce","bounce_classification":"Invalid Address","reason":"550 5.1.1 unknown"},
 {"timestamp":1763640004,"event":"bounce","sg_event_id":"e6","type":"blocked","reason":"451 busy"},
 {"timestamp":1763640004,"event":"bounce","sg_event_id":"e7","type":"bounce","bounce_classification":"technical","reason":"timeout"},
 {"timestamp":1763640004,"event":"dropped","sg_event_id":"e8","reason":"Bounced Address"},
 {"timestamp":1763640004,"event":"dropped","sg_event_id":"e9","reason":"Spam Content"},
 {"timestamp":1763640004,"event":"deferred","sg_event_id":"e10","response":"421 later","attempt":"3"},
 {"timestamp":null,"event":"spamreport","sg_event_id":"e11","email":"zoe@example.com"},
 {"timestamp":1763640004,"event":"group_unsubscribe","sg_event_id":"e12","asm_group_id":10},
 {"timestamp":1763640004,"event":"group_resubscribe","sg_event_id":"e13"},
 {"timestamp":1763640004,"event":"account_status_change","type":"compliance_suspend"},
 {"timestamp":1763640004,"event":"something_new","sg_event_id":"e14"},
 {"email":"me@agency.example","timestamp":1763640004,"event":"spamreport","sg_event_id":"e15","send_id":"test-mfrggzdfmztwq2lknnwg23tpoe"},
 "no object", 7, null, {"event":5.5e1000}, {"email":"zoe@example.com"}, [], {"event":{"a":1}}
]` + "\r\n"
	got, err := DecodeEvents([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	at := func(s float64) crm.Instant { return crm.Instant(s * 1000) }
	const zoe = "zoe@example.com"
	want := Events{Malformed: 6, Ignored: 5, Events: []mailer.ProviderEvent{
		{ID: "e1", Kind: "processed", SendID: "1k2", MessageID: "abc", Email: zoe, At: at(1763640000)},
		{ID: "e2", Kind: "delivered", SendID: "1k2", MessageID: "abc", Email: zoe, At: at(1763640001)},
		{ID: "e3", Kind: "opened", MessageID: "abc", At: at(1763640002.5), UserAgent: "Mozilla/5.0", Machine: true},
		{ID: "e4", Kind: "clicked", URL: "https://x.example/?a=b", At: at(1763640003)},
		{ID: "e5", Kind: "bounced", At: at(1763640004), Hard: true, Reason: "Invalid Address: 550 5.1.1 unknown"},
		{ID: "e6", Kind: "bounced", At: at(1763640004), Reason: "451 busy"},
		{ID: "e7", Kind: "bounced", At: at(1763640004), Reason: "technical: timeout"},
		{ID: "e8", Kind: "dropped", At: at(1763640004), Reason: mailer.DroppedBounced},
		{ID: "e9", Kind: "dropped", At: at(1763640004), Reason: "Spam Content"},
		{ID: "e10", Kind: "delayed", At: at(1763640004), Reason: "421 later"},
		{ID: "e11", Kind: "complained", Email: zoe},
		{ID: "e12", Kind: "unsubscribed", At: at(1763640004)},
	}}
	for i := range want.Events {
		want.Events[i].Source = Source
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, bad := range []string{"", "null", "{}", `"x"`, "[", "[1,]", "not json", `{"event":"open"}`} {
		if _, err := DecodeEvents([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
	if empty, err := DecodeEvents([]byte("[]")); err != nil || len(empty.Events) != 0 {
		t.Error(empty, err)
	}
}

// Without an id of SendGrid's, an event is known again by what makes it this one.
func TestB48_ARepeatWithoutAnIDIsKnownAgain(t *testing.T) {
	event := func(change string) string {
		v := map[string]any{"event": "click", "timestamp": 1763640000, "url": "https://x.example/", "sg_message_id": "abc.recvd-1", "email": "zoe@example.com"}
		switch change {
		case "":
		case "sg_message_id":
			delete(v, change)
		default:
			v[change] = "1"
		}
		raw, err := json.Marshal([]any{v})
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvents(raw)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Events) == 0 {
			return change
		}
		return got.Events[0].ID
	}
	first := event("")
	if first != event("") || first != event("ip") || strings.Contains(event(""), "zoe") {
		t.Error("a repeat is not known again")
	}
	ids := []string{event(""), event("timestamp"), event("url"), event("sg_message_id")}
	slices.Sort(ids)
	if len(slices.Compact(ids)) != 4 {
		t.Errorf("different events share an id: %q", ids)
	}
}

// B46: an out-of-office answer, a full mailbox or a grumpy server say nothing of what somebody wishes.
func TestB46_OnlyABounceForGoodIsHard(t *testing.T) {
	for _, c := range []struct {
		kind, class, reason string
		hard                bool
	}{
		{"bounce", "Invalid Address", "550 5.1.1", true},
		{"bounce", "", "550 5.1.1", true},
		{"bounce", "Mailbox Unavailable", "552", true},
		{"bounce", "Unclassified", "5", true},
		{"blocked", "Invalid Address", "x", false},
		{"bounce", "Reputation", "x", false},
		{"bounce", "content", "x", false},
		{"bounce", "Frequency or Volume Too High", "x", false},
		{"bounce", "Technical Failure", "x", false},
		{"bounce", "Unclassified", "Out of office: back on Monday", false},
		{"bounce", "", "Auto-Reply: absence du bureau", false},
	} {
		raw, err := json.Marshal([]map[string]string{{"event": "bounce", "type": c.kind, "bounce_classification": c.class, "reason": c.reason, "sg_event_id": "e"}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEvents(raw)
		if err != nil || len(got.Events) != 1 || got.Events[0].Hard != c.hard {
			t.Errorf("%+v: %+v %v", c, got, err)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add([]byte(`[{"event":"open","timestamp":"1763640000","sg_event_id":"e","send_id":"1k2","sg_machine_open":1}]`))
	f.Add([]byte(`[{"event":"click","timestamp":1e300,"url":null,"category":["a"]},{},[],null,1]`))
	f.Add([]byte("[{\"event\":\"bounce\",\"smtp-id\":\"<\xff@\u0000>\"}]"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := DecodeEvents(body)
		if err != nil {
			if strings.Contains(err.Error(), "@") {
				t.Error("the error quotes the body")
			}
			return
		}
		var all []json.RawMessage
		if json.Unmarshal(body, &all) != nil || len(all) != len(got.Events)+got.Malformed+got.Ignored {
			t.Errorf("%d elements became %d events, %d malformed, %d ignored", len(all), len(got.Events), got.Malformed, got.Ignored)
		}
		for _, v := range got.Events {
			if v.ID == "" || v.Source != Source || !slices.Contains(mailer.EventKinds(), v.Kind) || v.At < 0 {
				t.Errorf("%+v", v)
			}
		}
	})
}

func FuzzVerify(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("", "", []byte(nil))
	f.Add(base64.StdEncoding.EncodeToString([]byte{0x30, 6, 2, 1, 1, 2, 1, 1}), "1", []byte("[]"))
	f.Fuzz(func(t *testing.T, signature, stamp string, body []byte) {
		h := http.Header{}
		h.Set(eventwebhook.VerificationHTTPHeader, signature)
		h.Set(eventwebhook.TimestampHTTPHeader, stamp)
		if (EventKey{&key.PublicKey}).Verify(h, body) == nil {
			t.Error("a signature that nobody made verifies")
		}
	})
}
