package mailer_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

const hookSecret = "a secret of the tests' service"

// service is a web service on the loopback. It keeps what it was sent and answers as it is told.
type service struct {
	*httptest.Server
	mu     sync.Mutex
	got    []received
	answer func(r received) int // nil = 200
}

type received struct {
	key, signature string
	raw            []byte
	body           map[string]any
}

func (r received) contact() string { return r.body["contact"].(map[string]any)["email"].(string) }

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		got := received{key: r.Header.Get("Idempotency-Key"), signature: r.Header.Get("X-Relance-Signature"), raw: raw}
		_ = json.Unmarshal(raw, &got.body)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.got = append(s.got, got)
		if s.answer != nil {
			w.Header().Set("Location", s.URL+"/elsewhere")
			w.WriteHeader(s.answer(got))
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) calls() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *service) answers(fn func(received) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = fn
}

// armCalls arms a campaign that calls the service, and gives the engine its secrets.
func (w *world) armCalls(spec mailer.CampaignSpec) {
	w.tb.Helper()
	w.arm("c", spec)
	w.options.Secrets = mailer.SecretsOf(mailer.CampaignFile{"c": spec})
	w.rebuild()
}

func callingCampaign(t *testing.T, s *service) mailer.CampaignSpec {
	t.Helper()
	return written(t, fmt.Sprintf(`
steps:
  - {id: note, set: {relance.stage: one}}
  - {id: hook, call: {url: %q, secret: %q}}
  - {id: again, call: {url: %q, secret: %q}}
  - {id: mail, send: {template: win_back}}`, s.URL+"/a", hookSecret, s.URL+"/b", hookSecret))
}

func TestAWebServiceIsCalledSignedAndInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := newService(t)
		w.armCalls(callingCampaign(t, s))
		zoe := w.contact("zoe@example.com")
		w.started(zoe)
		w.expectMails(1)
		got := s.calls()
		if len(got) != 2 || got[0].body["step"] != "hook" || got[1].body["step"] != "again" || got[0].key == got[1].key {
			t.Fatalf("%+v", got)
		}
		for _, c := range got {
			unix := must(strconv.ParseInt(strings.TrimPrefix(strings.Split(c.signature, ",")[0], "t="), 10, 64))(t)
			if c.signature != mailer.SignCall(hookSecret, time.Unix(unix, 0), c.raw) || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
				t.Errorf("signature %s", c.signature)
			}
			contact, _ := c.body["contact"].(map[string]any)
			attributes, _ := c.body["attributes"].(map[string]any)
			if c.body["call"] != c.key || c.body["campaign"] != "c" || c.body["occurrence"] != "once" || contact["email"] != "zoe@example.com" ||
				contact["id"] != fmt.Sprint(zoe) || contact["locale"] != "fr" || attributes["relance.stage"] != "one" {
				t.Errorf("%s", c.raw)
			}
		}
		if i := w.info("c"); i.Calls["done"] != 2 {
			t.Errorf("%+v", i.Calls)
		}
		var stored string
		if err := w.db.Read().GetContext(t.Context(), &stored, "SELECT spec FROM campaign_defs WHERE campaign='c'"); err != nil || strings.Contains(stored, hookSecret) {
			t.Errorf("the database keeps the secret: %v", err)
		}
	})
}

func TestB5_ACallThatFailsIsRepeatedForADayAndThenParked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		registry := prometheus.NewRegistry()
		w.options.Metrics = mailer.NewMetrics(registry)
		s := newService(t)
		s.answers(func(r received) int {
			if r.contact() == "zoe@example.com" && r.body["step"] == "hook" {
				return http.StatusInternalServerError
			}
			return http.StatusNoContent
		})
		w.armCalls(callingCampaign(t, s))
		zoe, max := w.contact("zoe@example.com"), w.contact("max@example.com")
		w.started(zoe)
		w.started(max)
		w.expectMails(2) // the run goes on without waiting
		start, last := w.ahead, time.Duration(0)
		for w.count("SELECT COUNT(*) FROM calls WHERE state='open'") > 0 && w.ahead < 72*time.Hour {
			before := len(s.calls())
			w.run()
			if len(s.calls()) > before {
				last = w.ahead
			}
			w.ahead += 5 * time.Minute
		}
		keys, hooks := map[string]bool{}, 0
		for i, c := range s.calls() {
			if c.contact() != "zoe@example.com" {
				continue
			}
			if c.body["step"] == "hook" {
				hooks++
				keys[c.key] = true
			} else if hooks < 33 {
				t.Errorf("call %d is made before the one before it is over", i)
			}
		}
		if hooks != 33 || len(keys) != 1 {
			t.Errorf("%d attempts with %d keys", hooks, len(keys))
		}
		if over := last - start; over < 20*time.Hour || over > 30*time.Hour {
			t.Errorf("it was tried for %s", over)
		}
		if n := w.count("SELECT COUNT(*) FROM calls WHERE state='parked' AND error LIKE 'given up after 33 attempts: it answered 500%'"); n != 1 {
			t.Errorf("%d calls are parked", n)
		}
		if i := w.info("c"); i.Calls["parked"] != 1 || i.Calls["done"] != 3 {
			t.Errorf("%+v", i.Calls)
		}
		if n := must(testutil.GatherAndCount(registry, "relance_calls_total"))(t); n != 4 {
			t.Errorf("%d counters", n)
		}
	})
}

func TestARedirectIsNotFollowed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := newService(t)
		s.answers(func(received) int { return http.StatusTemporaryRedirect })
		w.armCalls(callingCampaign(t, s))
		w.started(w.contact("zoe@example.com"))
		if n := len(s.calls()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if n := w.count("SELECT COUNT(*) FROM calls WHERE state='open' AND error LIKE '%final address%'"); n != 1 {
			t.Errorf("%d calls say so", n)
		}
	})
}

func TestAServiceThatIsDownHoldsUpNobodyAndIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		up, down := newService(t), newService(t)
		down.Close()
		w.armCalls(written(t, fmt.Sprintf(`
steps:
  - id: which
    branch:
      - {if: {locale: en}, steps: [{id: up, call: {url: %q, secret: %q}}]}
      - {steps: [{id: down, call: {url: %q, secret: %q}}]}`, up.URL, hookSecret, down.URL, hookSecret)))
		const people = 150
		for i := range people {
			id := w.contact(fmt.Sprintf("c%d@example.com", i))
			if i == people-1 {
				w.exec("UPDATE contacts SET locale='en' WHERE id=?", id)
			}
			w.enter(id, anybody, w.now)
		}
		w.run()
		w.run()
		if n := len(up.calls()); n != 1 {
			t.Errorf("the service that is there had %d calls", n)
		}
		if n := w.count("SELECT SUM(attempts) FROM calls WHERE step='down'"); n > 64 {
			t.Errorf("%d attempts against a service that is down", n)
		}
		before := w.count("SELECT SUM(attempts) FROM calls WHERE step='down'")
		w.ahead += 31 * time.Second
		w.run()
		if n := w.count("SELECT SUM(attempts) FROM calls WHERE step='down'"); n != before+1 {
			t.Errorf("%d calls find out for all", n-before)
		}
	})
}

func TestNobodyIsCalledForAPersonWhoIsGone(t *testing.T) {
	for name, gone := range map[string]func(w *world, id int64){
		"erased": func(w *world, id int64) { must(w.m.Erase(w.tb.Context(), id, crm.At(w.now)))(w.tb) },
		"merged": func(w *world, id int64) { w.merge(id, w.contact("other@example.com")) },
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) {
				s := newService(t)
				s.answers(func(received) int { return http.StatusBadGateway })
				w.armCalls(callingCampaign(t, s))
				zoe := w.contact("zoe@example.com")
				w.started(zoe)
				gone(w, zoe)
				w.run()
				if n := len(s.calls()); n != 1 {
					t.Errorf("%d calls", n)
				}
				if n := w.count("SELECT COUNT(*) FROM calls WHERE state='dropped'"); n != 2 {
					t.Errorf("%d calls are dropped", n)
				}
			})
		})
	}
}

func TestACopyOfTheDatabaseCallsNobody(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := newService(t)
		w.options.SendingAllowed = func() error { return fmt.Errorf("a copy") }
		w.armCalls(callingCampaign(t, s))
		w.started(w.contact("zoe@example.com"))
		if n := len(s.calls()); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}
