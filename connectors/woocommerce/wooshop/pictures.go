package wooshop

import (
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"net/http"
	"strconv"
)

// StartPictures serves a picture for every product over plain http at addr ("127.0.0.1:0" picks a port) and makes the
// shop name it in products, variations and order lines: the recorded pictures are nowhere to be had. No date moves.
// Call it before the shop is read. stop ends the serving; the bodies stay.
func (s *Shop) StartPictures(addr string) (url string, stop func(), err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /products/{file}", servePicture)
	url, _, stop, err = start(addr, "http", mux, nil, nil)
	if err != nil {
		return "", nil, err
	}
	if err := s.repicture(url); err != nil {
		stop()
		return "", nil, err
	}
	return url, stop, nil
}

func pictureOf(base string, product int64) string {
	return fmt.Sprintf("%s/products/%d.png", base, product)
}

// repicture rewrites every body that names a picture or could.
func (s *Shop) repicture(base string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range []struct {
		table *table
		what  string
		draw  func(*object, *record, string) error
	}{{s.products, "product", drawProduct}, {s.variations, "variation", drawVariation}, {s.orders, "order", drawLines}} {
		for _, id := range kind.table.ids(func(*record) bool { return true }) {
			r := kind.table.get(id)
			if err := s.edit(kind.table, kind.what, id, func(o *object) error { return kind.draw(o, r, base) }); err != nil {
				return err
			}
		}
	}
	return nil
}

func drawProduct(o *object, r *record, base string) error {
	var images []json.RawMessage
	if err := json.Unmarshal(o.get("images"), &images); err != nil {
		return fmt.Errorf("wooshop: reading the pictures of product %d: %w", r.id, err)
	}
	if len(images) == 0 {
		images = []json.RawMessage{blankPicture()}
	}
	for i, raw := range images {
		var err error
		if images[i], err = redrawn(raw, pictureOf(base, r.id)); err != nil {
			return err
		}
	}
	o.setRaw("images", list(images))
	return nil
}

func drawVariation(o *object, r *record, base string) error {
	raw := o.get("image")
	if raw == nil || string(raw) == "null" {
		raw = blankPicture()
	}
	raw, err := redrawn(raw, pictureOf(base, r.parent))
	o.setRaw("image", raw)
	return err
}

// drawLines leaves lines without a picture whose product was deleted.
func drawLines(o *object, r *record, base string) error {
	var lines []json.RawMessage
	if err := json.Unmarshal(o.get("line_items"), &lines); err != nil {
		return fmt.Errorf("wooshop: reading the lines of order %d: %w", r.id, err)
	}
	for i, raw := range lines {
		l, err := parseObject(raw)
		if err != nil {
			return fmt.Errorf("wooshop: reading the lines of order %d: %w", r.id, err)
		}
		product, err := strconv.ParseInt(string(l.get("product_id")), 10, 64)
		if err != nil || product == 0 {
			continue
		}
		l.set("image", imageBody{"12", pictureOf(base, product)})
		lines[i] = l.bytes()
	}
	o.setRaw("line_items", list(lines))
	return nil
}

func blankPicture() json.RawMessage {
	return phpJSON(struct {
		ID   int64  `json:"id"`
		Src  string `json:"src"`
		Name string `json:"name"`
		Alt  string `json:"alt"`
	}{ID: 12})
}

func redrawn(raw json.RawMessage, src string) (json.RawMessage, error) {
	o, err := parseObject(raw)
	if err != nil {
		return nil, fmt.Errorf("wooshop: reading a picture: %w", err)
	}
	o.set("src", src)
	return o.bytes(), nil
}

func list(raws []json.RawMessage) json.RawMessage {
	bodies := make([][]byte, len(raws))
	for i, raw := range raws {
		bodies[i] = raw
	}
	return array(bodies)
}

func servePicture(w http.ResponseWriter, r *http.Request) {
	var id int64
	if n, err := fmt.Sscanf(r.PathValue("file"), "%d.png", &id); err != nil || n != 1 || id < 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "image/png")
	w.Header().Set("Cache-Control", "max-age=86400")
	_ = png.Encode(w, picture(id)) // a reader that went away is not the shop's concern
}

const pictureSide = 240

// picture is a soft gradient in the product's own pair of neighbouring hues, with light from the upper left.
func picture(id int64) image.Image {
	const goldenAngle = 137.508 // hues of consecutive ids lie far apart
	hue := math.Mod(float64(id)*goldenAngle, 360)
	from, to := pastel(hue, 0.62, 0.84), pastel(hue+38, 0.52, 0.64)
	img := image.NewRGBA(image.Rect(0, 0, pictureSide, pictureSide))
	for y := range pictureSide {
		for x := range pictureSide {
			u, v := float64(x)/pictureSide, float64(y)/pictureSide
			t := (u + v) / 2
			t = t * t * (3 - 2*t)
			light := 0.35 * math.Exp(-((u-0.3)*(u-0.3)+(v-0.26)*(v-0.26))/0.08)
			var c [3]uint8
			for i := range c {
				shade := from[i] + (to[i]-from[i])*t
				c[i] = uint8(255 * (shade + (1-shade)*light))
			}
			img.SetRGBA(x, y, color.RGBA{c[0], c[1], c[2], 255})
		}
	}
	return img
}

// pastel turns hue (degrees), saturation and lightness into red, green and blue, each 0..1.
func pastel(hue, saturation, lightness float64) [3]float64 {
	reach := saturation * min(lightness, 1-lightness)
	var rgb [3]float64
	for i, offset := range [3]float64{0, 8, 4} {
		k := math.Mod(offset+math.Mod(hue, 360)/30, 12)
		rgb[i] = lightness - reach*max(-1, min(k-3, 9-k, 1))
	}
	return rgb
}
