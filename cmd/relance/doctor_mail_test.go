package main

import (
	"encoding/json"
	"net"
	"testing"

	"github.com/relance/relance/mailer/deliverability"
)

func TestMailIsDiagnosedWithoutANetwork(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := conn.LocalAddr().String()
	_ = conn.Close()
	code, out, errs := r.run("doctor", "mail", "--resolver", nobody, "--selector", "k1", "--json")
	if code == exitUsage {
		t.Fatal(code, errs)
	}
	var g mailDiagnosis
	if err := json.Unmarshal([]byte(out), &g); err != nil {
		t.Fatal(err)
	}
	standing := map[string]deliverability.Standing{}
	for _, f := range g.Audiences["default"] {
		if standing[f.Check] = f.Standing; f.Says == "" {
			t.Errorf("%+v", f)
		}
	}
	for check, want := range map[string]deliverability.Standing{
		"spf": deliverability.Unknown, "dkim": deliverability.Unknown, "dmarc": deliverability.Unknown, "complaints": deliverability.Unknown,
		"bounces": deliverability.Unknown, "events": deliverability.Good, "one_click": deliverability.Warning,
	} {
		if standing[check] != want {
			t.Errorf("%s is %s, want %s", check, standing[check], want)
		}
	}
	_, text, _ := r.run("doctor", "mail", "--resolver", nobody)
	wants(t, text, "default", "the name server did not answer", "--resolver")
	for _, c := range [][]string{{"doctor", "mail", "--resolver", "nonsense"}, {"doctor", "mail", "nobody"}} {
		if code, _, _ := r.run(c...); code != exitUsage {
			t.Errorf("%v: exit code %d", c, code)
		}
	}
}
