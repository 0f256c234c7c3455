package wooshop

import (
	"encoding/json"
	"image/png"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unpictured is what everything but its pictures says.
func unpictured(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(raw, &o); err != nil {
		t.Fatal(err)
	}
	delete(o, "images")
	delete(o, "image")
	if lines, ok := o["line_items"].([]any); ok {
		for _, l := range lines {
			delete(l.(map[string]any), "image")
		}
	}
	return o
}

func TestPicturesChangeNothingElse(t *testing.T) {
	recorded, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := s.StartPictures("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for name, tables := range map[string][2]*table{
		"products": {recorded.products, s.products}, "variations": {recorded.variations, s.variations}, "orders": {recorded.orders, s.orders},
	} {
		for i, before := range tables[0].rows {
			after := tables[1].rows[i]
			if d := cmp.Diff(unpictured(t, before.raw), unpictured(t, after.raw)); d != "" {
				t.Fatalf("%s %d: %s", name, before.id, d)
			}
			if before.modified != after.modified || strings.Contains(string(after.raw), `produit-1-1.png`) {
				t.Errorf("%s %d: %s", name, before.id, after.raw)
			}
			if name != "orders" && !strings.Contains(string(after.raw), string(phpJSON(url + "/products/"))[1:20]) {
				t.Errorf("%s %d has no picture", name, after.id)
			}
		}
	}
}

func TestEveryGoodHasAPictureThatCanBeSeen(t *testing.T) {
	s, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	base, stop, err := s.StartPictures("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	seen := map[[3]uint32]int64{}
	for _, g := range s.Goods() {
		if g.Image != pictureOf(base, g.ProductID) {
			t.Fatalf("product %d: %q", g.ProductID, g.Image)
		}
		r, g2, b := shown(t, g.Image)
		seen[[3]uint32{r, g2, b}] = g.ProductID
	}
	if len(seen) < 15 {
		t.Errorf("only %d pictures look different", len(seen))
	}
	id, err := s.CreateDraft(OrderSpec{Email: "a@example.com", Items: []Item{s.Goods()[0].Item}})
	if err != nil {
		t.Fatal(err)
	}
	var o struct {
		Lines []lineBody `json:"line_items"`
	}
	if err := json.Unmarshal(s.Body("orders", id), &o); err != nil || o.Lines[0].Image.Src != s.Goods()[0].Image {
		t.Errorf("a new line shows %+v %v", o.Lines, err)
	}
	for _, path := range []string{"/", "/products/", "/products/x.png", "/products/-1.png"} {
		if answer := fetch(t, base+path); answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, answer.Status)
		}
	}
}

func fetch(t *testing.T, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// shown is the colour in the middle of a picture.
func shown(t *testing.T, url string) (r, g, b uint32) {
	t.Helper()
	answer := fetch(t, url)
	img, err := png.Decode(answer.Body)
	if err != nil || answer.Header.Get("Content-Type") != "image/png" {
		t.Fatalf("%s: %s %v", url, answer.Status, err)
	}
	r, g, b, _ = img.At(pictureSide/2, pictureSide/2).RGBA()
	return r, g, b
}
