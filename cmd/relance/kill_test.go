package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce/wooshop"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// TestKilledAtRandomMoments kills the real program with SIGKILL while it reads a shop for the first time, while
// webhooks arrive and while mails leave, and then lets it finish. What was acknowledged is there, no mail was handed
// over twice, nobody of the history was mailed, and every outcome that is not known is shown.
func TestKilledAtRandomMoments(t *testing.T) {
	binary := buildProgram(t)
	for _, c := range []struct {
		engine         store.Dialect
		backfill, live int // kills; on MySQL each successor waits for the leases of the dead to run out
	}{{store.SQLite, 18, 36}, {store.MySQL, 2, 3}} {
		t.Run(string(c.engine), func(t *testing.T) {
			t.Parallel()
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d, %d kills", seed, c.backfill+c.live)
			v := newVictim(t, binary, c.engine, rand.New(rand.NewPCG(seed, 1)))
			v.shop.SetFault(func(*http.Request) *wooshop.Fault { return wooshop.Latency(20 * time.Millisecond) })
			for range c.backfill {
				v.start()
				v.killWithin(700 * time.Millisecond)
			}
			v.start()
			v.waitUntil("the backfill has ended", func(s status) bool {
				return !s.Shops[0].BackfilledAt.IsZero() && s.Work.Dirty == 0 && len(s.Segments) > 0
			})
			v.command("campaign", "arm", "abandoned_cart", "--yes")
			v.kill()
			<-time.After(time.Second) // the shop's dates have whole seconds: what it dates after the arming begins now

			v.mail.slowly(v.rnd, 60*time.Millisecond)
			for range c.live {
				v.start()
				v.leaveCarts(2)
				v.killWithin(1200 * time.Millisecond)
			}
			v.start()
			v.leaveCarts(1)
			v.waitUntil("every cart has had its mail", func(s status) bool { return settledSends(s) >= len(v.carts) && s.Work.Dirty == 0 })
			v.stop()
			v.judge()
		})
	}
}

// buildProgram builds the program with leases and hand-overs a tenth as long as they are, in the same proportion: these
// tests wait for them in real time.
func buildProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for path, c := range map[string][2]string{
		"lanes.go":               {"leaseTTL = 45 * time.Second", "leaseTTL = 4500 * time.Millisecond"},
		"../../mailer/engine.go": {"handWindow = 20 * time.Second", "handWindow = 2 * time.Second"},
	} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), c[0]) != 1 {
			t.Fatalf("%s does not say %q once: the test no longer fits", path, c[0])
		}
		real, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		replace[real] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replace[real], []byte(strings.Replace(string(text), c[0], c[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "relance")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building relance: %v\n%s", err, out)
	}
	return binary
}

// victim is a program that is killed again and again, and the world around it that lives on.
type victim struct {
	t      *testing.T
	rnd    *rand.Rand
	binary string
	dir    string
	dsn    string
	shop   *wooshop.Shop
	mail   *receiver
	public string
	admin  string
	cmd    *exec.Cmd
	log    *bytes.Buffer
	people []person

	mu    sync.Mutex
	carts map[int64]string // draft → e-mail
	acked []string         // ids of the orders whose webhook got a 200
}

func newVictim(t *testing.T, binary string, engine store.Dialect, rnd *rand.Rand) *victim {
	shop, err := wooshop.New(wooshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(shop)
	t.Cleanup(server.Close)
	people, err := subscribers(shop)
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{
		t: t, rnd: rnd, binary: binary, dir: t.TempDir(), dsn: servers.DSN(t, engine), shop: shop, mail: newReceiver(t),
		public: freePort(t), admin: freePort(t), people: people, carts: map[int64]string{},
	}
	shop.OnWebhook(v.deliver)
	v.lay(map[string]string{
		"relance.yaml": fmt.Sprintf(`database: "%s"
public_url: https://relance.example.com
listen: {public: "%s", admin: "%s"}
log: {format: console, level: warn}
audiences:
  default:
    title: Atelier
    from: bonjour@boutique.example.com
    postal_address: 12 rue des Ateliers, Bordeaux
    provider: sendgrid
    sendgrid: {api_key: SG.test, base_url: "%s"}
`, v.dsn, v.public, v.admin, v.mail.URL),
		"shops/boutique.yaml": fmt.Sprintf(`platform: woocommerce
woocommerce:
  url: %s
  key: %s
  secret: %s
  webhook_secret: %s
mapping:
  consent: {customer: meta.newsletter_optin, order: meta.newsletter_optin}
`, server.URL, wooshop.DefaultKey, wooshop.DefaultSecret, wooshop.DefaultWebhookSecret),
		"segments/segments.yaml":   "cart_left:\n  match:\n    all:\n      - open_cart: {idle_for: 1s, younger_than: 1h}\n      - consent: granted\n",
		"campaigns/campaigns.yaml": "abandoned_cart:\n  trigger: {enters: cart_left}\n  occurrence: cart\n  steps:\n    - id: reminder\n      send: {template: abandoned_cart}\n",
	})
	return v
}

// lay writes the program's files. Whatever becomes of the test, the program does not outlive it, and its last words are told
// of a failure.
func (v *victim) lay(files map[string]string) {
	v.t.Helper()
	for name, text := range files {
		path := filepath.Join(v.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
			v.t.Fatal(err)
		}
	}
	v.t.Cleanup(func() {
		if v.cmd != nil {
			_ = v.cmd.Process.Kill()
			_ = v.cmd.Wait()
		}
		if v.t.Failed() {
			v.t.Logf("the program's last words:\n%s", v.log)
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (v *victim) start() {
	v.t.Helper()
	v.log = &bytes.Buffer{}
	v.cmd = exec.Command(v.binary, "--config", v.dir, "run")
	v.cmd.Stdout, v.cmd.Stderr = v.log, v.log
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
}

// killWithin lets the program live for a random time: the moment is the point, so nothing is waited for.
func (v *victim) killWithin(most time.Duration) {
	v.t.Helper()
	<-time.After(time.Duration(v.rnd.Int64N(int64(most))))
	v.kill()
}

func (v *victim) kill() {
	v.t.Helper()
	if err := v.cmd.Process.Kill(); err != nil {
		v.t.Fatalf("the program ended by itself: %v\n%s", err, v.log)
	}
	if err := v.cmd.Wait(); v.cmd.ProcessState.ExitCode() != -1 {
		v.t.Fatalf("the program ended by itself before it was killed: %v\n%s", err, v.log)
	}
	v.cmd = nil
}

// stop asks politely; the program ends within its bound and calls that a success.
func (v *victim) stop() {
	v.t.Helper()
	if err := v.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		v.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- v.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			v.t.Errorf("after SIGTERM: %v\n%s", err, v.log)
		}
	case <-time.After(stopGrace + 10*time.Second):
		v.t.Errorf("still there %s after SIGTERM", stopGrace+10*time.Second)
		_ = v.cmd.Process.Kill()
	}
	v.cmd = nil
}

func (v *victim) command(args ...string) {
	v.t.Helper()
	c := exec.CommandContext(v.t.Context(), v.binary, append([]string{"--config", v.dir}, args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		v.t.Fatalf("relance %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// leaveCarts lets subscribers who have not left one yet leave a cart.
func (v *victim) leaveCarts(n int) {
	v.t.Helper()
	goods := v.shop.Goods()
	for range n {
		if len(v.carts) == len(v.people) {
			return
		}
		p := v.people[len(v.carts)]
		id, err := v.shop.CreateDraft(p.order(goods[v.rnd.IntN(len(goods))].Item))
		if err != nil {
			v.t.Fatal(err)
		}
		v.mu.Lock()
		v.carts[id] = p.Email
		v.mu.Unlock()
	}
}

// deliver is the shop's one attempt at a webhook, a little after the fact. Nobody may be listening.
func (v *victim) deliver(h http.Header, body []byte) {
	go func() {
		<-time.After(150 * time.Millisecond) // the program may be up by then, or dying
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+v.public+"/hooks/boutique", bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header = h.Clone()
		a, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return
		}
		_ = a.Body.Close()
		var order struct{ ID json.Number }
		if a.StatusCode == http.StatusOK && json.Unmarshal(body, &order) == nil {
			v.mu.Lock()
			v.acked = append(v.acked, order.ID.String())
			v.mu.Unlock()
		}
	}()
}

// status is what /api/status says, as far as this test asks.
type status struct {
	Shops []struct {
		BackfilledAt time.Time `json:"backfilled_at"`
	}
	Segments  []any
	Campaigns []struct {
		ID    string
		Sends []struct {
			State string
			Count int
		}
		CameBack []struct {
			Name  string
			Count int
		} `json:"came_back"`
	}
	Work struct {
		Dirty   int
		Unknown int `json:"sends_unknown"`
	}
}

func settledSends(s status) int {
	n := 0
	for _, c := range s.Campaigns {
		for _, by := range c.Sends {
			if slices.Contains([]string{"accepted", "unknown", "refused"}, by.State) {
				n += by.Count
			}
		}
	}
	return n
}

// waitUntil asks the running program how far it is. Another process gives no other signal.
func (v *victim) waitUntil(what string, done func(status) bool) {
	v.t.Helper()
	var last []byte
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); <-time.After(100 * time.Millisecond) {
		a, err := http.Get("http://" + v.admin + "/api/status")
		if err != nil {
			continue
		}
		last, err = io.ReadAll(a.Body)
		_ = a.Body.Close()
		var s status
		if err == nil && json.Unmarshal(last, &s) == nil && len(s.Shops) == 1 && done(s) {
			return
		}
	}
	v.t.Fatalf("waiting until %s: not within 3 minutes; last status %s", what, last)
}

// judge reads the database that was left behind.
func (v *victim) judge() {
	v.t.Helper()
	db, err := store.Open(v.t.Context(), store.Options{DSN: v.dsn})
	if err != nil {
		v.t.Fatal(err)
	}
	defer db.Close()
	v.judgeMails(db)
	v.judgeMirror(db)
	report, err := segments.Verify(v.t.Context(), mirror.New(db), time.Now())
	if err != nil || len(report.Differences) > 0 {
		v.t.Errorf("segments differ from a recount: %+v, %v", report, err)
	}
}

func (v *victim) judgeMails(db *store.DB) {
	v.t.Helper()
	if twice := v.mail.twice(); len(twice) > 0 {
		v.t.Errorf("handed over more than once: %v", twice)
	}
	var sends []struct {
		ID    int64
		State string
	}
	if err := db.Read().SelectContext(v.t.Context(), &sends, "SELECT id, state FROM sends"); err != nil {
		v.t.Fatal(err)
	}
	states := map[string]int{}
	for _, s := range sends {
		states[s.State]++
		_, got := v.mail.to[sendID(s.ID)]
		switch {
		case s.State == "accepted" && !got:
			v.t.Errorf("send %d is accepted but never arrived", s.ID)
		case got && s.State != "accepted" && s.State != "unknown":
			v.t.Errorf("send %d arrived and is %s", s.ID, s.State)
		}
	}
	if len(sends) != len(v.carts) {
		v.t.Errorf("%d sends for %d carts", len(sends), len(v.carts))
	}
	mailed := map[string]bool{}
	for _, email := range v.carts {
		mailed[strings.ToLower(email)] = true
	}
	for id, to := range v.mail.to {
		if !mailed[strings.ToLower(to)] {
			v.t.Errorf("send %s went to somebody who left no cart (B14)", id)
		}
	}
	v.t.Logf("%d carts, %d mails arrived, sends by state: %v, %d webhooks acknowledged", len(v.carts), v.mail.count(), states, len(v.acked))
}

func (v *victim) judgeMirror(db *store.DB) {
	v.t.Helper()
	read := func(query string) []string {
		var ids []string
		if err := db.Read().SelectContext(v.t.Context(), &ids, query); err != nil {
			v.t.Fatal(err)
		}
		slices.Sort(ids)
		return ids
	}
	inbox := read("SELECT DISTINCT record_id FROM inbox")
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, id := range v.acked {
		if _, kept := slices.BinarySearch(inbox, id); !kept {
			v.t.Errorf("the webhook about order %s was acknowledged and is gone", id)
		}
	}
	for table, want := range map[string][]int64{
		"orders": append(v.shop.OrderIDs(), v.shop.OrderIDs("trash")...), "customers": v.shop.CustomerIDs(),
		"products": v.shop.ProductIDs(), "refunds": v.shop.RefundIDs(),
	} {
		var ids []string
		for _, id := range want {
			ids = append(ids, fmt.Sprint(id))
		}
		slices.Sort(ids)
		if got := read("SELECT id FROM " + table + " WHERE gone_at=0"); !slices.Equal(got, ids) {
			v.t.Errorf("%s: %d mirrored, %d in the shop", table, len(got), len(ids))
		}
	}
}
