package web

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// chooser remembers what was chosen; the token is the contact's locale.
type chooser struct {
	mu        sync.Mutex
	choices   Choices
	act       Act
	saved     int
	confirmed int
}

func (c *chooser) funcs() *ChoicesFuncs {
	known := func(token string) error {
		if token == "forged" {
			return ErrNotFound
		}
		return nil
	}
	return &ChoicesFuncs{
		Show: func(_ context.Context, token string, language func(string) string) (Choices, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			out := c.choices
			out.Language, out.Sender, out.Expired = language(token), "Maison Alba", token == "old"
			return out, known(token)
		},
		Save: func(_ context.Context, token string, chosen Choices, act Act, language func(string) string) (Choices, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			if chosen.Hour < -1 {
				return Choices{}, ErrBadChoice
			}
			for i := range chosen.Topics {
				chosen.Topics[i].Title = c.choices.Topics[i].Title
			}
			c.choices, c.act = chosen, act
			c.saved++
			out := chosen
			out.Language = language(token)
			return out, known(token)
		},
		Confirming: func(_ context.Context, token string, language func(string) string) (Confirmation, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return Confirmation{Language: language(token), Sender: "Maison Alba", Done: c.confirmed > 0}, known(token)
		},
		Confirm: func(_ context.Context, token string, act Act, language func(string) string) (Confirmation, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.confirmed++
			c.act = act
			return Confirmation{Language: language(token), Done: true}, known(token)
		},
	}
}

func newChooser() *chooser {
	return &chooser{choices: Choices{Hour: -1, Topics: []ChoiceTopic{{ID: "news", Title: "Nouveautés"}, {ID: "offers", Title: "Offres", Wanted: true}}}}
}

func asked(t *testing.T, method, at string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestB43NothingIsChosenByFollowingALink(t *testing.T) {
	t.Parallel()
	c := newChooser()
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Choices = c.funcs() })
	for _, path := range []string{"/p/fr", "/s/fr"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if status, _ := asked(t, method, srv.URL+path, nil); status != http.StatusOK {
				t.Errorf("%s %s: %d", method, path, status)
			}
		}
	}
	if c.saved+c.confirmed != 0 {
		t.Error("a link that was followed chose something")
	}
	for _, x := range []struct {
		path   string
		form   url.Values
		status int
	}{
		{"/p/forged", url.Values{"offered": {"news"}}, http.StatusNotFound},
		{"/p/fr", url.Values{"offered": {"news"}, "hour": {"noon"}}, http.StatusBadRequest},
		{"/s/fr", url.Values{}, http.StatusBadRequest}, // a program that posts without the page's answer
		{"/s/fr", url.Values{"confirm": {"yes"}}, http.StatusOK},
		{"/s/forged", url.Values{"confirm": {"yes"}}, http.StatusNotFound},
	} {
		if status, _ := asked(t, http.MethodPost, srv.URL+x.path, x.form); status != x.status {
			t.Errorf("%s %v: %d, want %d", x.path, x.form, status, x.status)
		}
	}
}

func TestStoppingAllIsOneButton(t *testing.T) {
	t.Parallel()
	c := newChooser()
	srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Choices = c.funcs() })
	status, body := asked(t, http.MethodPost, srv.URL+"/p/en", url.Values{"offered": {"news", "offers"}, "topic": {"news", "offers"}, "none": {"1"}, "frequency": {"weekly"}, "hour": {"18"}})
	if status != http.StatusOK || !strings.Contains(body, "you will get no more of these") {
		t.Errorf("%d %s", status, body)
	}
	for _, topic := range c.choices.Topics {
		if topic.Wanted {
			t.Errorf("%s is still wanted", topic.ID)
		}
	}
	if c.choices.Hour != 18 || c.choices.Frequency != "weekly" || c.act.IP == "" || c.act.Text == "" {
		t.Errorf("%+v %+v", c.choices, c.act)
	}
}

func TestChoosingWithAKeyboardAndWithoutScripts(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ locale, title, saved string }{{"fr-BE", "Vos préférences", "C’est enregistré"}, {"en", "Your choices", "Saved"}} {
		c := newChooser()
		srv := publicServer(t, &readers{}, func(o *PublicOptions) { o.Choices = c.funcs() })
		ctx := phone(t)
		if _, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
			t.Fatal(err)
		}
		do(ctx, t, chromedp.Navigate(srv.URL+"/p/"+x.locale), chromedp.WaitVisible(chromedp.CSS("#save")))
		fits(ctx, t, "the page of choices")
		if title, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("h1"))); err != nil || title != x.title {
			t.Errorf("%q, %v", title, err)
		}
		if colour := value[string](ctx, t, `getComputedStyle(document.querySelector("#save")).backgroundColor`); colour != "rgb(11, 110, 91)" {
			t.Errorf("the button is %s: the policy keeps the page's own style out", colour)
		}
		if n := value[int](ctx, t, `[...document.querySelectorAll("select,input:not([type=hidden])")].filter(e => !e.labels.length).length`); n != 0 {
			t.Errorf("%d fields have no label", n)
		}
		if small := value[int](ctx, t, `[...document.querySelectorAll("button,select,label.tick")].filter(e => e.getBoundingClientRect().height < 44).length`); small != 0 {
			t.Errorf("%d targets are too small for a finger", small)
		}
		keepPicture(ctx, t, "choices."+x.locale)
		// Tick the first topic, then go on to the button: two topics, three lists, a date of three parts with its picker.
		steps := []chromedp.Action[chromedp.Void]{chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent(" ")}
		do(ctx, t, steps...)
		do(ctx, t, chromedp.Focus(chromedp.CSS("#save")))
		if _, err := chromedp.RunResponse(ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
			t.Fatal(err)
		}
		if said, err := chromedp.Run(ctx, chromedp.Text(chromedp.CSS("[role=status]"))); err != nil || !strings.Contains(said, x.saved) {
			t.Errorf("%q, %v", said, err)
		}
		c.mu.Lock()
		if c.saved != 1 || !c.choices.Topics[0].Wanted || !c.choices.Topics[1].Wanted {
			t.Errorf("saved %d times: %+v", c.saved, c.choices)
		}
		c.mu.Unlock()
		do(ctx, t, chromedp.Navigate(srv.URL+"/s/"+x.locale), chromedp.WaitVisible(chromedp.CSS("#confirm")))
		fits(ctx, t, "the page of confirmation")
		keepPicture(ctx, t, "confirm."+x.locale)
		do(ctx, t, chromedp.Navigate(srv.URL+"/p/old"))
		fits(ctx, t, "the page of a link that has expired")
	}
}
