package inbox_test

import (
	"compress/gzip"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/sync/inbox"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

const (
	shopID = 42
	secret = "a webhook secret"
)

func source(tb testing.TB) *woocommerce.Source {
	tb.Helper()
	s, err := woocommerce.New(woocommerce.Config{URL: "https://boutique.example.com", Key: "ck_1", Secret: "cs_1", WebhookSecret: secret, Shop: "boutique"}, http.DefaultTransport)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func receiver(tb testing.TB, db *store.DB, wake func(int64)) *inbox.Receiver {
	return inbox.NewReceiver(mirror.New(db), inbox.Options{
		Shops: map[string]inbox.Target{"boutique": {ShopID: shopID, Hinter: source(tb)}}, Wake: wake, Now: func() time.Time { return at },
	})
}

var at = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

// signed is a delivery as WooCommerce sends it.
func signed(body, topic string) (http.Header, []byte) {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("X-WC-Webhook-Topic", topic)
	h.Set("X-WC-Webhook-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h, []byte(body)
}

func count(t *testing.T, db *store.DB, query string) int {
	t.Helper()
	var n int
	if err := db.Read().GetContext(t.Context(), &n, query); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADeliveryIsDurableBeforeItIsAcknowledged(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		woken := 0
		r := receiver(t, db, func(id int64) {
			if id != shopID || count(t, db, "SELECT COUNT(*) FROM hints") != 1 {
				t.Error("woken before the hint was stored")
			}
			woken++
		})
		h, body := signed(`{"id":765,"status":"completed"}`, "order.updated")
		if status := r.Receive(t.Context(), "boutique", h, body); status != 200 {
			t.Fatalf("status %d", status)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM hints WHERE shop_id=42 AND kind='order' AND id='765'"); n != 1 || woken != 1 {
			t.Errorf("%d hints, woken %d times", n, woken)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox WHERE shop_id=42 AND record_id='765' AND topic='order.updated'"); n != 1 {
			t.Errorf("%d rows in the inbox", n)
		}
	})
}

func TestB26_TheSameDeliveryAHundredTimesIsOneHint(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := receiver(t, db, nil)
		h, body := signed(`{"id":765}`, "order.updated")
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if status := r.Receive(t.Context(), "boutique", h, body); status != 200 {
					t.Errorf("status %d", status)
				}
			})
		}
		all.Wait()
		if n := count(t, db, "SELECT COUNT(*) FROM hints"); n != 1 {
			t.Errorf("%d hints", n)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox"); n != 100 {
			t.Errorf("%d of 100 deliveries are stored", n)
		}
	})
}

func TestWhatIsRefusedStoresNothing(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		r := receiver(t, db, func(int64) { t.Error("woken") })
		h, body := signed(`{"id":765}`, "order.updated")
		flipped := append([]byte{}, body...)
		flipped[3] ^= 1
		long, longBody := signed(strings.Repeat(" ", inbox.MaxBody)+"1", "order.updated")
		ping := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		for name, c := range map[string]struct {
			shop   string
			h      http.Header
			body   []byte
			status int
		}{
			"one flipped byte": {"boutique", h, flipped, 401},
			"no signature":     {"boutique", http.Header{"X-Wc-Webhook-Topic": {"order.updated"}}, body, 401},
			"unknown shop":     {"elsewhere", h, body, 404},
			"too large":        {"boutique", long, longBody, 413},
			"ping":             {"boutique", ping, []byte("webhook_id=12"), 200},
		} {
			t.Run(name, func(t *testing.T) {
				if status := r.Receive(t.Context(), c.shop, c.h, c.body); status != c.status {
					t.Errorf("status %d, want %d", status, c.status)
				}
			})
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox") + count(t, db, "SELECT COUNT(*) FROM hints"); n != 0 {
			t.Errorf("%d rows were stored", n)
		}
	})
}

func TestRecordedDeliveriesVerifyAndAreStored(t *testing.T) {
	deliveries := recorded(t)
	servers.Each(t, func(t *testing.T, db *store.DB) {
		stored := 0
		for _, d := range deliveries {
			src, err := woocommerce.New(woocommerce.Config{URL: "https://boutique.example.com", Key: "ck_1", Secret: "cs_1", WebhookSecret: d.Secret, Shop: "boutique"}, http.DefaultTransport)
			if err != nil {
				t.Fatal(err)
			}
			r := inbox.NewReceiver(mirror.New(db), inbox.Options{Shops: map[string]inbox.Target{"boutique": {ShopID: shopID, Hinter: src}}})
			if status := r.Receive(t.Context(), "boutique", d.header(), d.Body); status != 200 {
				t.Errorf("%s: status %d", d.Name, status)
			}
			if d.Secret == "" { // an unsigned ping
				continue
			}
			stored++
			broken := append([]byte{}, d.Body...)
			broken[len(broken)/2] ^= 1
			if status := r.Receive(t.Context(), "boutique", d.header(), broken); status != 401 {
				t.Errorf("%s with a flipped byte: status %d", d.Name, status)
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox"); n != stored || stored != 36 {
			t.Errorf("%d of %d deliveries are stored", n, stored)
		}
	})
}

// delivery is one as the recorded shop sent it.
type delivery struct {
	Name    string
	Secret  string
	Headers [][2]string
	Body    []byte
}

func (d delivery) header() http.Header {
	h := http.Header{}
	for _, kv := range d.Headers {
		h.Add(kv[0], kv[1])
	}
	return h
}

func recorded(t *testing.T) (all []delivery) {
	t.Helper()
	f, err := os.Open("../../connectors/woocommerce/wooshop/recorded/webhooks.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAFailedCommitIsNotAcknowledgedAndASeenFailureLosesNothing(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, when := range []string{"before", "after"} {
			t.Run(string(engine)+"/"+when, func(t *testing.T) {
				broken := true
				db := servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
					if broken && name == "inbox.store" && at == when {
						return errors.New("the plug is pulled")
					}
					return nil
				}})
				r := receiver(t, db, nil)
				h, body := signed(`{"id":765}`, "order.updated")
				if status := r.Receive(t.Context(), "boutique", h, body); status != 503 {
					t.Fatalf("status %d", status)
				}
				want := 0
				if when == "after" { // committed, but nobody could know
					want = 1
				}
				if n := count(t, db, "SELECT COUNT(*) FROM hints"); n != want {
					t.Errorf("%d hints", n)
				}
				broken = false
				if status := r.Receive(t.Context(), "boutique", h, body); status != 200 {
					t.Fatalf("then status %d", status)
				}
				if n := count(t, db, "SELECT COUNT(*) FROM hints"); n != 1 {
					t.Errorf("then %d hints", n)
				}
			})
		}
	}
}

func TestOneTransactionCommitsAllWhoWait(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			commits := 0 // one at a time: the right to commit is a token
			db := servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if name == "inbox.store" && when == "before" {
					commits++
					once.Do(func() { close(entered); <-release })
				}
				return nil
			}})
			r := receiver(t, db, nil)
			h, body := signed(`{"id":765}`, "order.updated")
			var all, joined sync.WaitGroup
			receive := func(ctx context.Context) int { return r.Receive(ctx, "boutique", h, body) }
			all.Go(func() { receive(t.Context()) })
			<-entered
			gone, cancel := context.WithCancel(t.Context())
			for i := range 50 {
				joined.Add(1)
				all.Go(func() {
					ctx := t.Context()
					if i == 0 {
						ctx = gone
					}
					joined.Done()
					if status := receive(ctx); status != 200 && i != 0 {
						t.Errorf("status %d", status)
					}
				})
			}
			joined.Wait()
			cancel() // one client hangs up: the others do not notice
			close(release)
			all.Wait()
			if n := count(t, db, "SELECT COUNT(*) FROM inbox"); n < 50 {
				t.Errorf("%d deliveries are stored", n)
			}
			if commits > 20 {
				t.Errorf("%d transactions for 51 deliveries", commits)
			}
		})
	}
}

func TestOldDeliveriesArePrunedInBounds(t *testing.T) {
	servers.Each(t, func(t *testing.T, db *store.DB) {
		if err := db.Write(t.Context(), "test", func(tx *store.Tx) error {
			var rows [][]any
			for i := range 1300 {
				received := at.Add(time.Duration(i-1200) * time.Hour)
				rows = append(rows, []any{int64(i + 1), int64(shopID), crm.At(received), []byte("{}")})
			}
			rows = append(rows, []any{int64(5000), int64(43), crm.At(at.Add(-9999 * time.Hour)), []byte("{}")})
			return tx.Insert(t.Context(), "inbox", []string{"id", "shop_id", "received_at", "body"}, rows)
		}); err != nil {
			t.Fatal(err)
		}
		rounds := 0
		for more := true; more; rounds++ {
			var err error
			if more, err = inbox.Prune(t.Context(), db, shopID, crm.At(at)); err != nil {
				t.Fatal(err)
			}
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox WHERE shop_id=42"); n != 100 || rounds != 3 {
			t.Errorf("%d deliveries are left after %d rounds", n, rounds)
		}
		if n := count(t, db, "SELECT COUNT(*) FROM inbox WHERE shop_id=43"); n != 1 {
			t.Error("another shop's was pruned")
		}
	})
}
