package pushed_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/pushed"
)

func TestACommitThatFailedIsNotAcknowledgedAndRepeatingItStoresNothingTwice(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		for _, when := range []string{"before", "after"} {
			t.Run(string(engine)+"/"+when, func(t *testing.T) {
				broken := true
				w := open(t, servers.Open(t, engine, store.Options{Fault: func(name, at string) error {
					if broken && name == "push.store" && at == when {
						return errors.New("the plug is pulled")
					}
					return nil
				}}), false)
				if a := w.records(order("1", 1, "10", "ana@example.com")); a.Status != 503 || a.Error == "" {
					t.Fatalf("%+v", a)
				}
				broken = false
				want := "applied"
				if when == "after" { // it was committed, but nobody could know
					want = "unchanged"
				}
				if a := w.records(order("1", 1, "10", "ana@example.com")); a.Status != 202 || a.Results[0].Status != want {
					t.Fatalf("%+v", a)
				}
				if n := w.count("SELECT COUNT(*) FROM orders"); n != 1 {
					t.Errorf("%d orders", n)
				}
			})
		}
	}
}

// A sender repeats until it hears 202, through crashes at every commit and beside others: in the end all is there, once.
func TestRepeatingThroughCrashesEndsAsIfNothingHadHappened(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			var mu sync.Mutex
			n := 0
			w := open(t, servers.Open(t, engine, store.Options{Fault: func(name, _ string) error {
				mu.Lock()
				defer mu.Unlock()
				if n++; name == "push.store" && n%3 == 0 {
					return errors.New("crash")
				}
				return nil
			}}), false)
			var senders sync.WaitGroup
			for s := range 8 {
				senders.Go(func() {
					for i := range 6 {
						body := `{"records":[` + strings.Join([]string{
							order(fmt.Sprint("o", s), i+1, fmt.Sprint(i+1), fmt.Sprintf("p%d@example.com", s)),
							cartRecord(fmt.Sprint("c", s), i+1, fmt.Sprint(i+1)), order("shared", 10*i+s, fmt.Sprint(10*i+s), "ana@example.com"),
						}, ",") + `]}`
						for tries := 0; ; tries++ {
							if a := w.r.Receive(t.Context(), "till", signed(body), []byte(body)); a.Status == 202 {
								break
							} else if a.Status != 503 || tries > 50 {
								t.Errorf("status %d: %s", a.Status, a.Body)
								return
							}
						}
					}
				})
			}
			senders.Wait()
			for query, want := range map[string]int{
				"SELECT COUNT(*) FROM orders WHERE total=600 AND id<>'shared'": 8, "SELECT COUNT(*) FROM orders": 9, "SELECT COUNT(*) FROM carts WHERE total=600": 8,
				"SELECT total FROM orders WHERE id='shared'": 5700, "SELECT version FROM push_versions WHERE id='shared'": 57,
				"SELECT COUNT(*) FROM contacts": 10, "SELECT COUNT(*) FROM push_versions": 17, "SELECT COUNT(*) FROM order_lines": 9,
				"SELECT SUM(orders) FROM contact_stats": 9, "SELECT COUNT(*) FROM quarantine": 0,
			} {
				if got := w.count(query); got != want {
					t.Errorf("%s: %d, want %d", query, got, want)
				}
			}
		})
	}
}

func TestOneTransactionCommitsAllWhoWaitAndTooManyAreSentAway(t *testing.T) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		t.Run(string(engine), func(t *testing.T) {
			entered, release := make(chan struct{}), make(chan struct{})
			var once sync.Once
			commits := 0 // one at a time: the right to commit is a token
			w := open(t, servers.Open(t, engine, store.Options{Fault: func(name, when string) error {
				if name == "push.store" && when == "before" {
					commits++
					once.Do(func() { close(entered); <-release })
				}
				return nil
			}}), false)
			answers := make(chan pushed.Answer, 100)
			var all, joined sync.WaitGroup
			send := func(i int) {
				body := `{"records":[` + order(fmt.Sprint(i), 1, "1", "ana@example.com") + `]}`
				answers <- w.r.Receive(t.Context(), "till", signed(body), []byte(body))
			}
			all.Go(func() { send(0) })
			<-entered
			for i := range 60 {
				joined.Add(1)
				all.Go(func() { joined.Done(); send(i + 1) })
			}
			joined.Wait()
			for len(answers) < 29 { // spins until those who find no place have been sent away
				select {
				case a := <-answers:
					answers <- a
				case <-t.Context().Done():
					t.Fatal("nobody is sent away")
				}
			}
			close(release)
			all.Wait()
			close(answers)
			byStatus := map[int]int{}
			for a := range answers {
				byStatus[a.Status]++
				if a.Status == 429 && a.RetryAfter <= 0 {
					t.Error("429 does not say when to come back")
				}
			}
			if diff := cmp.Diff(map[int]int{202: 32, 429: 29}, byStatus); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if n := w.count("SELECT COUNT(*) FROM orders"); n != 32 || commits > 3 {
				t.Errorf("%d orders in %d transactions", n, commits)
			}
		})
	}
}
