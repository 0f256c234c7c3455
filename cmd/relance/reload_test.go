package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/web"
)

// The real program reads its files again at SIGHUP while webhooks and page views arrive without a break: mistakes leave
// everything as it was and are shown, good files are in force at once, and no request is lost or cut.
func TestReloadingUnderTraffic(t *testing.T) {
	t.Parallel()
	v := newVictim(t, buildProgram(t), store.SQLite, rand.New(rand.NewPCG(1, 2)))
	v.start()
	v.waitUntil("the backfill has ended", func(s status) bool { return !s.Shops[0].BackfilledAt.IsZero() && s.Work.Dirty == 0 })
	v.command("campaign", "arm", "abandoned_cart", "--yes")
	<-time.After(time.Second) // the shop's dates have whole seconds: what it dates after the arming begins now
	v.leaveCarts(1)
	traffic := v.traffic()

	v.edit("segments/segments.yaml", "open_cart:", "opne_cart:")
	v.hup()
	refused := v.overview("the broken files are shown", func(o web.Overview) bool { return !o.Files.RefusedAt.IsZero() })
	if m := refused.Files.Mistakes; len(m) != 1 || !strings.HasPrefix(m[0], "segments/segments.yaml:4:9: ") {
		t.Errorf("mistakes: %q", m)
	}
	if len(refused.Segments) != 1 || refused.Segments[0].State != "live" {
		t.Errorf("the segments in force changed: %+v", refused.Segments)
	}

	v.edit("segments/segments.yaml", "opne_cart:", "open_cart:")
	v.edit("segments/segments.yaml", "cart_left:", "buyers:\n  match: {bought: {at_least: 1}}\ncart_left:")
	v.edit("shops/boutique.yaml", "platform:", "title: Atelier Neuf\nplatform:")
	slow := v.slowHook()
	v.hup()
	v.overview("the new files are in force", func(o web.Overview) bool {
		return o.Files.RefusedAt.IsZero() && len(o.Segments) == 2 && o.Segments[0].State == "live" && o.Shops[0].Title == "Atelier Neuf"
	})
	slow.finish(t)
	v.leaveCarts(1)
	v.waitUntil("both carts have had their mail", func(s status) bool { return settledSends(s) >= 2 })

	v.edit("relance.yaml", v.admin, "127.0.0.1:1")
	v.hup()
	o := v.overview("a change of the listener is refused", func(o web.Overview) bool { return !o.Files.RefusedAt.IsZero() })
	wants(t, o.Files.Mistakes[0], "listen.admin cannot change while Relance runs", "Restart relance")
	v.edit("relance.yaml", "127.0.0.1:1\"", v.admin+"\"")

	v.edit("relance.yaml", "  default:", "  other: {title: Other}\n  default:")
	v.edit("shops/boutique.yaml", "platform:", "audience: other\nplatform:")
	v.hup()
	o = v.overview("a change of hands is refused", func(o web.Overview) bool {
		return len(o.Files.Mistakes) == 1 && strings.Contains(o.Files.Mistakes[0], "audience of shop boutique")
	})
	wants(t, o.Files.Mistakes[0], "its customers belong to the audience default already", "a name is for ever")
	if o.Shops[0].Title != "Atelier Neuf" || len(o.Segments) != 2 {
		t.Errorf("what was in force changed: %+v", o)
	}

	traffic.end(t)
	v.stop()
	wants(t, v.log.String(), "segments/segments.yaml:4:9", "did you mean open_cart?", "what was in force goes on")
	if twice := v.mail.twice(); len(twice) > 0 {
		t.Errorf("handed over more than once: %v", twice)
	}
}

func (v *victim) hup() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		v.t.Fatal(err)
	}
}

func (v *victim) edit(name, from, to string) {
	v.t.Helper()
	path := filepath.Join(v.dir, name)
	text, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(text), from) {
		v.t.Fatalf("%s does not contain %q (%v)", name, from, err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), from, to, 1)), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// overview waits for a state of the page's data.
func (v *victim) overview(what string, done func(web.Overview) bool) (o web.Overview) {
	v.t.Helper()
	var last []byte
	v.waitUntil(what, func(status) bool {
		a, err := http.Get("http://" + v.admin + "/api/status")
		if err != nil {
			return false
		}
		defer a.Body.Close()
		last, err = io.ReadAll(a.Body)
		o = web.Overview{}
		return err == nil && json.Unmarshal(last, &o) == nil && done(o)
	})
	return o
}

// requests are webhooks and page views without a break, each of which has to be answered by 200.
type requests struct {
	stop     chan struct{}
	wg       sync.WaitGroup
	answered atomic.Int64
	failed   chan string
}

func (v *victim) traffic() *requests {
	r := &requests{stop: make(chan struct{}), failed: make(chan string, 1)}
	header, body := v.webhook()
	for _, ask := range []func() (*http.Response, error){
		func() (*http.Response, error) {
			req, err := http.NewRequest(http.MethodPost, "http://"+v.public+"/hooks/boutique", bytes.NewReader(body))
			if err != nil {
				return nil, err
			}
			req.Header = header.Clone()
			return http.DefaultClient.Do(req)
		},
		func() (*http.Response, error) { return http.Get("http://" + v.admin + "/") },
	} {
		r.wg.Go(func() { r.keepAsking(ask) })
	}
	return r
}

func (r *requests) keepAsking(ask func() (*http.Response, error)) {
	for {
		select {
		case <-r.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		a, err := ask()
		what := ""
		if err != nil {
			what = err.Error()
		} else {
			_, err = io.Copy(io.Discard, a.Body)
			_ = a.Body.Close()
			if err != nil || a.StatusCode != http.StatusOK {
				what = a.Request.URL.Path + ": " + a.Status
			}
		}
		if what != "" {
			select {
			case r.failed <- what:
			default:
			}
			return
		}
		r.answered.Add(1)
	}
}

func (r *requests) end(t *testing.T) {
	t.Helper()
	close(r.stop)
	r.wg.Wait()
	select {
	case what := <-r.failed:
		t.Errorf("a request failed: %s", what)
	default:
	}
	t.Logf("%d requests were answered", r.answered.Load())
}

// webhook is a signed delivery about an order of the recorded shop.
func (v *victim) webhook() (http.Header, []byte) {
	body := fmt.Appendf(nil, `{"id":%d,"status":"processing"}`, v.shop.OrderIDs()[0])
	mac := hmac.New(sha256.New, []byte(wooshop.DefaultWebhookSecret))
	mac.Write(body)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-WC-Webhook-Topic", "order.updated")
	h.Set("X-WC-Webhook-Resource", "order")
	h.Set("X-WC-Webhook-Event", "updated")
	h.Set("X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h, body
}

// halfway is a webhook whose body has arrived by half.
type halfway struct {
	rest   *io.PipeWriter
	second []byte
	answer chan string
}

func (v *victim) slowHook() *halfway {
	header, body := v.webhook()
	read, write := io.Pipe()
	h := &halfway{rest: write, second: body[len(body)/2:], answer: make(chan string, 1)}
	req, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, "http://"+v.public+"/hooks/boutique", read)
	if err != nil {
		v.t.Fatal(err)
	}
	req.Header = header
	go func() {
		a, err := http.DefaultClient.Do(req)
		if err != nil {
			h.answer <- err.Error()
			return
		}
		_ = a.Body.Close()
		h.answer <- a.Status
	}()
	if _, err := write.Write(body[:len(body)/2]); err != nil {
		v.t.Fatal(err)
	}
	return h
}

func (h *halfway) finish(t *testing.T) {
	t.Helper()
	if _, err := h.rest.Write(h.second); err != nil {
		t.Errorf("the webhook that was arriving: %v", err)
	}
	_ = h.rest.Close()
	if got := <-h.answer; got != "200 OK" {
		t.Errorf("the webhook that was arriving while the files changed got %s", got)
	}
}
