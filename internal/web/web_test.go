package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// under way is a server with one request in its handler.
func underWay(t *testing.T, grace time.Duration) (stop context.CancelFunc, ended <-chan error, release chan<- struct{}, answer <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	entered, let := make(chan struct{}), make(chan struct{})
	ln := listen(t)
	done, reply := make(chan error, 1), make(chan error, 1)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		select {
		case <-let:
			_, _ = io.WriteString(w, "whole")
		case <-r.Context().Done():
		}
	})
	go func() { done <- Serve(ctx, ln, h, grace, zaptest.NewLogger(t)) }()
	go func() {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+ln.Addr().String(), nil)
		if err != nil {
			reply <- err
			return
		}
		resp, err := client.Do(req)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		reply <- err
	}()
	<-entered
	return cancel, done, let, reply
}

func TestStoppingLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	stop, ended, release, answer := underWay(t, time.Minute)
	stop()
	close(release)
	if err := <-answer; err != nil {
		t.Errorf("the request under way: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStoppingHasABound(t *testing.T) {
	t.Parallel()
	stop, ended, _, answer := underWay(t, 20*time.Millisecond)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("a request that never ends was answered")
	}
}

func TestServeSaysThatItsListenerFailed(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	_ = ln.Close()
	if err := Serve(t.Context(), ln, http.NotFoundHandler(), time.Second, zaptest.NewLogger(t)); err == nil {
		t.Error("no error")
	}
}
