package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
)

const tillSecret = "the till's secret of more than thirty-two bytes"

// send posts records to a shop through the public surface, as curl would.
func (w *world) send(shop string, history bool, records ...string) {
	w.t.Helper()
	body := fmt.Sprintf(`{"history":%t,"records":[%s]}`, history, strings.Join(records, ","))
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/v1/shops/"+shop+"/records", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	timestamp, signature := push.Sign(tillSecret, w.wall.Now(), []byte(body))
	r.Header.Set(push.HeaderTimestamp, timestamp)
	r.Header.Set(push.HeaderSignature, signature)
	a := httptest.NewRecorder()
	web.NewPublic(w.public).ServeHTTP(a, r)
	var taken struct{ Rejected int }
	if err := json.Unmarshal(a.Body.Bytes(), &taken); err != nil || a.Code != http.StatusAccepted || taken.Rejected > 0 {
		w.t.Fatalf("%d %s", a.Code, a.Body)
	}
}

// What a till or a plugin sends goes the whole way to the mail: a cart left behind is reminded of, also where nobody can
// be asked whether it was bought meanwhile; one that was bought, one of the past and one without consent are not. Carts
// sent to a shop that is polled do the same beside what is read from it.
func TestPushedCartsAreRemindedOfUnlessTheyAreBought(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, engine store.Dialect) {
		dsn := "sqlite:relance.db"
		if engine == store.MySQL {
			dsn = servers.DSN(t, engine)
		}
		w := newWorld(t, dsn)
		w.write("shops/boutique.yaml", worldShop+"push: {secrets: [\""+tillSecret+"\"]}\n")
		w.write("shops/till.yaml", "platform: push\nzone: Europe/Paris\npush: {secrets: [\""+tillSecret+"\"]}\n")
		if err := w.open(); err != nil {
			t.Fatal(err)
		}
		w.settle()
		ago := time.Duration(0)
		cart := func(id, email string) string {
			return fmt.Sprintf(`{"kind":"cart","id":%q,"sequence":1,"data":{"email":%q,"currency":"EUR","total":"59.90","active_at":%q,"lines":[{"product_id":"9","name":"Lampe","quantity":1,"total":"59.90"}]}}`,
				id, email, w.clock.Now().Add(-ago).Format(time.RFC3339))
		}
		consent := func(email string) string {
			return fmt.Sprintf(`{"kind":"consent","id":%q,"data":{"email":%q,"state":"granted","at":%q,"text":"Write to me.","source":"till 3"}}`, "s-"+email, email, w.clock.Now().Format(time.RFC3339))
		}
		ago = 2 * time.Hour // left behind already
		w.send("till", true, cart("past", "past@example.com"), consent("past@example.com"))
		ago = 0
		w.settle()
		if _, err := mailer.Arm(t.Context(), w.d.mirror, "abandoned_cart", w.instant()); err != nil {
			t.Fatal(err)
		}
		w.move(time.Minute)
		w.send("till", false, consent("left@example.com"), consent("bought@example.com"), cart("left", "left@example.com"), cart("bought", "bought@example.com"), cart("silent", "silent@example.com"))
		w.send("boutique", false, consent("web@example.com"), cart("session-7", "web@example.com"))
		w.settle()
		w.move(50 * time.Minute)
		w.settle()
		w.send("till", false, fmt.Sprintf(`{"kind":"order","id":"1","sequence":1,"data":{"email":"bought@example.com","state":"completed","currency":"EUR","total":"59.90","placed_at":%q,"cart_id":"bought"}}`, w.clock.Now().Format(time.RFC3339)))
		w.move(15 * time.Minute)
		w.settle()
		_, to := w.handed()
		var mailed []string
		for _, email := range to {
			mailed = append(mailed, email)
		}
		slices.Sort(mailed)
		if diff := cmp.Diff([]string{"left@example.com", "web@example.com"}, slices.Compact(mailed)); diff != "" {
			t.Errorf("mailed (-want +got):\n%s\nsends: %v", diff, w.rows("SELECT state, reason FROM sends"))
		}
	})
}
