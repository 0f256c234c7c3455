package inbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/inbox"
)

const (
	connections = 64
	perRound    = 4000
	rounds      = 3
)

// BenchmarkWebhook compares verified, hinting, durable receipt over HTTP with a handler that only commits bodies in
// groups, on the same engine in the same run (DESIGN §14: ≥ 0.8 of its rate, p99 ≤ 1.5 times).
func BenchmarkWebhook(b *testing.B) {
	for _, engine := range []store.Dialect{store.SQLite, store.MySQL} {
		b.Run(string(engine), func(b *testing.B) {
			db := servers.Open(b, engine, store.Options{})
			ours := serve(b, func(w http.ResponseWriter, q *http.Request, body []byte, r *inbox.Receiver) {
				w.WriteHeader(r.Receive(q.Context(), "boutique", q.Header, body))
			}, receiver(b, db, func(int64) {}))
			floor := newBare(b, db)
			bare := serve(b, func(w http.ResponseWriter, q *http.Request, body []byte, _ *inbox.Receiver) {
				if floor.store(q.Context(), body) != nil {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
			}, nil)
			var a, f measured
			for b.Loop() {
				for range rounds {
					f.add(b, bare)
					a.add(b, ours)
				}
			}
			b.ReportMetric(a.rate(), "webhooks/s")
			b.ReportMetric(f.rate(), "floor/s")
			b.ReportMetric(a.rate()/f.rate(), "ratio")
			b.ReportMetric(a.p99(), "p99-ms")
			b.ReportMetric(f.p99(), "floor-p99-ms")
			b.ReportMetric(a.p99()/f.p99(), "p99-ratio")
			b.ReportMetric(a.cost(), "cpu-us")
			b.ReportMetric(f.cost(), "floor-cpu-us")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func serve(b *testing.B, handle func(http.ResponseWriter, *http.Request, []byte, *inbox.Receiver), r *inbox.Receiver) string {
	b.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, inbox.MaxBody))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		handle(w, q, body, r)
	}))
	b.Cleanup(s.Close)
	return s.URL
}

// fire posts perRound deliveries of 4 KB over 64 connections and gives how long each took, and all.
func fire(b *testing.B, url string) (each []time.Duration, whole time.Duration) {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var n atomic.Int64
	took := make([][]time.Duration, connections)
	var all sync.WaitGroup
	start := time.Now()
	for c := range connections {
		all.Go(func() {
			for i := n.Add(1); i <= perRound; i = n.Add(1) {
				h, body := signed(`{"id":`+strconv.FormatInt(i%1500+1, 10)+`,"note":"`+strings.Repeat("x", 4000)+`"}`, "order.updated")
				q, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(body))
				if err != nil {
					b.Error(err)
					return
				}
				q.Header = h
				began := time.Now()
				a, err := client.Do(q)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, a.Body)
				_ = a.Body.Close()
				if a.StatusCode != http.StatusOK {
					b.Error(fmt.Errorf("status %d", a.StatusCode))
					return
				}
				took[c] = append(took[c], time.Since(began))
			}
		})
	}
	all.Wait()
	return slices.Concat(took...), time.Since(start)
}

type measured struct {
	each  []time.Duration
	whole time.Duration
	cpu   time.Duration // of this process, the clients' share included
}

func (m *measured) add(b *testing.B, url string) {
	b.Helper()
	before := cpu(b)
	each, whole := fire(b, url)
	m.each, m.whole, m.cpu = append(m.each, each...), m.whole+whole, m.cpu+cpu(b)-before
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cost is the processor's time for one delivery in microseconds: unlike the rate it does not depend on what else runs.
func (m *measured) cost() float64 { return float64(m.cpu.Microseconds()) / float64(len(m.each)) }

func (m *measured) rate() float64 { return float64(len(m.each)) / m.whole.Seconds() }

func (m *measured) p99() float64 {
	slices.Sort(m.each)
	return float64(m.each[len(m.each)*99/100].Microseconds()) / 1000
}

// bare is the floor: a goroutine that commits whatever bodies have come in, and nothing else.
type bare struct{ in chan bareBody }

type bareBody struct {
	body []byte
	done chan error
}

func newBare(b *testing.B, db *store.DB) *bare {
	b.Helper()
	f := &bare{in: make(chan bareBody, 4*connections)}
	var running sync.WaitGroup
	running.Go(func() {
		for first := range f.in {
			group := []bareBody{first}
			for more := true; more && len(group) < 256; {
				select {
				case d, ok := <-f.in:
					if more = ok; ok {
						group = append(group, d)
					}
				default:
					more = false
				}
			}
			err := db.Write(context.Background(), "bare", func(tx *store.Tx) error {
				rows := make([][]any, len(group))
				for i, d := range group {
					rows[i] = []any{tx.NewID(), d.body}
				}
				return tx.Insert(context.Background(), "inbox", []string{"id", "body"}, rows)
			})
			for _, d := range group {
				d.done <- err
			}
		}
	})
	b.Cleanup(func() { close(f.in); running.Wait() })
	return f
}

func (f *bare) store(ctx context.Context, body []byte) error {
	d := bareBody{body, make(chan error, 1)}
	select {
	case f.in <- d:
		return <-d.done
	case <-ctx.Done():
		return ctx.Err()
	}
}
