package web

import (
	"context"
	"testing"

	"github.com/chromedp/chromedp"
)

func TestTheChartOfASegmentsSizes(t *testing.T) {
	t.Parallel()
	if sparkline(nil) != nil || sparkline([]int64{4}) != nil {
		t.Error("one day is no chart")
	}
	s := sparkline([]int64{10, 20, 15})
	if s.Line != "M1.0 20.0L41.0 3.0L81.0 11.5" || s.X != "81.0" || s.Label != "3 days: from 10 to 15" {
		t.Errorf("%+v", s)
	}
	if flat := sparkline([]int64{7, 7}); flat.Line != "M1.0 20.0L81.0 20.0" {
		t.Errorf("%+v", flat)
	}
	if ripple := sparkline([]int64{1000, 1010}); ripple.Y != "18.3" { // a hundredth more is no cliff
		t.Errorf("%+v", ripple)
	}
}

func TestTheChartsFitOnAPhone(t *testing.T) {
	t.Parallel()
	srv := adminServer(t, func(o *AdminOptions) {
		o.Overview = func(context.Context) (Overview, error) {
			v := sampleOverview()
			v.Segments = []Segment{{ID: "inactive_60", Title: "Last purchase 60 to 70 days ago, a rather long title", Size: 1234567, State: "live", History: []int64{1200000, 1230000, 1234567}}}
			return v, nil
		}
	})
	ctx := phone(t)
	do(ctx, t, chromedp.Navigate(srv.URL+"/"), chromedp.WaitVisible(chromedp.CSS(".spark")))
	fits(ctx, t, "the page with a chart")
	if colour := value[string](ctx, t, `getComputedStyle(document.querySelector(".spark path:not(.area)")).stroke`); colour == "none" {
		t.Error("the line is not drawn")
	}
	if name := value[string](ctx, t, `document.querySelector(".spark").getAttribute("aria-label")`); name == "" {
		t.Error("it says nothing to those who do not see it")
	}
}

func TestBarsDrawWhatWasEarned(t *testing.T) {
	t.Parallel()
	if bars(nil) != nil || bars([]int64{0, 0, -5}) != nil {
		t.Error("nothing is drawn as something")
	}
	b := bars([]int64{0, 50, -10, 100})
	if b == nil || b.Line != "M31.8 21.0V11.5M72.8 21.0V2.0" || b.Label != "revenue by day: some on 2 of the last 4 days" {
		t.Errorf("%+v", b)
	}
}
