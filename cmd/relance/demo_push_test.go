package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/relance/relance/connectors/push"
)

// The examples of the push API are run as they are written, with curl and openssl, against the demo as people start it.
// (`make deps` brings both.)
func TestTheExamplesOfThePushAPIRunAgainstTheDemo(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	said, out := io.Pipe()
	var errs bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- execute(&deps{
			ctx: ctx, args: []string{"demo", "--admin", "127.0.0.1:0"}, in: strings.NewReader(""), out: out, err: &errs,
			env: func(string) (string, bool) { return "", false }, now: func() time.Time { return time.Now().UTC() },
		})
		_ = out.Close() // the reader is told of the end
	}()
	public, admin := addresses(t, said)
	for _, script := range []string{"virtuemart", "drupal-commerce"} {
		for range 2 { // the second time nothing is rejected either
			cmd := exec.CommandContext(ctx, "bash", "../../docs/examples/"+script+"/send.sh")
			cmd.Env = append(os.Environ(), "RELANCE_URL="+public)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", script, err, text)
			}
		}
	}
	described := get(t, public+"/v1/openapi.json")
	if !bytes.Equal(described, push.OpenAPI()) {
		t.Error("the description served is another")
	}
	var page struct {
		Shops []struct {
			Name  string
			Kinds []struct {
				Kind     string
				Mirrored int
			}
		}
	}
	if err := json.Unmarshal(get(t, admin+"/api/status"), &page); err != nil {
		t.Fatal(err)
	}
	mirrored := map[string]int{}
	for _, s := range page.Shops {
		for _, k := range s.Kinds {
			if s.Name == demoPushShop {
				mirrored[k.Kind] = k.Mirrored
			}
		}
	}
	for kind, want := range map[string]int{"customers": 2, "orders": 2, "products": 3, "categories": 2, "refunds": 1} {
		if mirrored[kind] != want {
			t.Errorf("%d %s are mirrored, want %d: %v", mirrored[kind], kind, want, mirrored)
		}
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

// addresses reads what the demo says until it has told where its two surfaces are, and drains the rest.
func addresses(t *testing.T, said io.Reader) (public, admin string) {
	t.Helper()
	page := regexp.MustCompile(`The page: (http://\S+)`)
	url := regexp.MustCompile(`RELANCE_URL=(http://\S+)`)
	lines := bufio.NewScanner(said)
	var all strings.Builder
	for public == "" && lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if m := page.FindStringSubmatch(lines.Text()); m != nil {
			admin = m[1]
		}
		if m := url.FindStringSubmatch(lines.Text()); m != nil {
			public = m[1]
		}
	}
	if public == "" || admin == "" {
		t.Fatalf("the demo does not say where to send:\n%s", all.String())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return public, admin
}

func get(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, a.StatusCode, err)
	}
	return body
}
