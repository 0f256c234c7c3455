package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// phone opens a real browser at a phone's width.
func phone(t *testing.T) context.Context {
	t.Helper()
	alloc, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute))...)
	tab, closeTab := chromedp.NewContext(alloc)
	// The first Do starts the browser and must not have a deadline of its own: it would end the browser.
	if err := chromedp.Do(tab, chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch)); err != nil {
		closeTab()
		stop()
		t.Fatalf("Chromium is needed for this test: %v. Run `make deps` (Debian, Ubuntu) or install Chromium or Chrome yourself", err)
	}
	ctx, cancel := context.WithTimeout(tab, time.Minute)
	t.Cleanup(func() { cancel(); closeTab(); stop() })
	return ctx
}

func value[T any](ctx context.Context, t *testing.T, expression string) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func do(ctx context.Context, t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// fits fails when the page must be moved sideways to be read.
func fits(ctx context.Context, t *testing.T, page string) {
	t.Helper()
	if have := value[float64](ctx, t, "document.documentElement.scrollWidth"); have > 390 {
		t.Errorf("%s is %v px wide on a phone of 390", page, have)
	}
}

func TestUnsubscribingWithAKeyboardAndWithoutScripts(t *testing.T) {
	t.Parallel()
	l := &readers{}
	srv := publicServer(t, l, nil)
	ctx := phone(t)
	if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	do(ctx, t, chromedp.Navigate(srv.URL+"/u/good"), chromedp.WaitVisible(chromedp.CSS("button")))
	fits(ctx, t, "the unsubscribe page")
	if colour := value[string](ctx, t, `getComputedStyle(document.querySelector("button")).backgroundColor`); colour != "rgb(11, 110, 91)" {
		t.Errorf("the button is %s: the policy keeps the page's own style out", colour)
	}
	if l.acts.Load() != 0 {
		t.Fatal("looking at the page unsubscribed")
	}
	resp, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(kb.Enter))
	if err != nil {
		t.Fatal(err)
	}
	title, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("h1")))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != http.StatusOK || l.acts.Load() != 1 || title != "You are unsubscribed" {
		t.Errorf("status %d, acted %d times, page says %q", resp.Status, l.acts.Load(), title)
	}
	do(ctx, t, chromedp.Navigate(srv.URL+"/u/forged"))
	fits(ctx, t, "the page for a forged link")
}

func TestTheOwnersPageOnAPhone(t *testing.T) {
	t.Parallel()
	var looked atomic.Int64
	srv := adminServer(t, func(o *AdminOptions) {
		o.Overview = func(context.Context) (Overview, error) {
			v := sampleOverview()
			v.Contacts += looked.Add(1)
			return v, nil
		}
	})
	ctx := phone(t)
	for _, page := range []string{"/mails", "/contacts", "/nowhere", "/"} {
		do(ctx, t, chromedp.Navigate(srv.URL+page))
		fits(ctx, t, page)
	}
	const contacts = `document.querySelector(".tiles b").textContent`
	do(ctx, t, chromedp.Evaluate[chromedp.Void]("void(window.mark = 1)"))
	before := value[string](ctx, t, contacts)
	const renewed = `new Promise(done => new MutationObserver(() => done(` + contacts + `)).observe(document.getElementById("live"), {childList: true}))`
	after, err := chromedp.Run(ctx, chromedp.Evaluate[string](renewed, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatalf("the page did not renew itself: %v", err)
	}
	if after == before {
		t.Errorf("renewed, and still %s contacts", after)
	}
	if mark := value[int](ctx, t, "window.mark || 0"); mark != 1 {
		t.Error("the page was loaded again instead of renewed in place")
	}
}

func TestAMailIsShownAndCannotRun(t *testing.T) {
	t.Parallel()
	var ran atomic.Bool
	var once sync.Once
	seen := make(chan struct{})
	picture := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ran":
			ran.Store(true)
		case "/seen":
			once.Do(func() { close(seen) })
		}
	}))
	t.Cleanup(picture.Close)
	srv := adminServer(t, func(o *AdminOptions) {
		o.Mail = func(context.Context, string) (Mail, error) {
			m := sampleMail()
			m.HTML = strings.Replace(m.HTML, "<body", `<script>new Image().src="`+picture.URL+`/ran"</script><body`, 1) +
				`<img onerror="this.src='` + picture.URL + `/ran'" src="data:x"><img src="` + picture.URL + `/seen">`
			return m, nil
		}
	})
	ctx := phone(t)
	do(ctx, t, chromedp.Navigate(srv.URL+"/mails/s1"), chromedp.WaitVisible(chromedp.CSS("iframe")))
	fits(ctx, t, "a mail's page")
	select {
	case <-seen:
	case <-ctx.Done():
		t.Fatal("the mail's pictures were not fetched: it is not shown")
	}
	do(ctx, t, chromedp.Navigate(srv.URL+"/mails/s1/html")) // opened by itself, without the frame
	if ran.Load() || value[string](ctx, t, "document.title") != "x" {
		t.Error("a script in the mail ran")
	}
}
