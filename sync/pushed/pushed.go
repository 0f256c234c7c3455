// Package pushed takes in the records that plugins, tills, forms and other systems send: it verifies and decodes a
// request, applies it as polling applies what it reads, and answers 202 only after the commit.
package pushed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/sync/together"
)

// maxUnderWay bounds the requests worked on at once, and with them the memory that bodies take.
const maxUnderWay = 32

// Target is the shop behind an address of the push API.
type Target struct {
	ShopID  int64
	Secrets []string // one, or two while one replaces the other
	Polled  bool     // an engine reads the shop: hints have somebody to read again
}

// Options of a Receiver.
type Options struct {
	Shops   map[string]Target  // by shop name; only shops that take records
	Wake    func(shopID int64) // told after the commit of hints; may be nil
	Now     func() time.Time   // business time: when records are observed
	Wall    func() time.Time   // real time: how old a signature is
	Metrics *Metrics
	Log     *zap.Logger
}

// Receiver is the door for the records of all shops; safe for concurrent use.
type Receiver struct {
	o       Options
	mirror  *mirror.Mirror
	commits *together.Committer[*delivery]
	places  chan struct{}
}

// NewReceiver makes a Receiver. It owns no goroutine: the callers of Receive commit for each other.
func NewReceiver(m *mirror.Mirror, o Options) *Receiver {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wall == nil {
		o.Wall = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	r := &Receiver{o: o, mirror: m, places: make(chan struct{}, maxUnderWay)}
	r.commits = together.New(push.MaxRecords, func(d *delivery) int { return len(d.batch.Records) }, r.commitAll)
	return r
}

// MakeKnown stores that a shop which nobody reads needs no backfill: what it sends from now on are changes. A shop made
// known before stays as it is. Whoever opens the shops calls it for those of the platform push.
func MakeKnown(ctx context.Context, m *mirror.Mirror, shopID int64, now time.Time) error {
	err := m.DB().Write(ctx, "push.known", func(tx *store.Tx) error { return m.SetBackfilled(ctx, tx, shopID, crm.At(now)) })
	if err != nil {
		return fmt.Errorf("making a shop known: %w", err)
	}
	return nil
}

// Statuses of a record.
const (
	Applied   = "applied"   // stored by this request
	Unchanged = "unchanged" // this sequence number or a later one was stored before
	Rejected  = "rejected"  // not stored: its errors say why
)

// Result is what became of one record.
type Result struct {
	Index  int            `json:"index"` // in records, from 0
	Kind   crm.Kind       `json:"kind,omitempty"`
	ID     string         `json:"id,omitempty"`
	Status string         `json:"status"`
	Errors []push.Problem `json:"errors,omitempty"`
}

// Answer is a response: its status, its JSON body, and after how long to come back (0: not said).
type Answer struct {
	Status     int
	Body       []byte
	RetryAfter time.Duration
}

// taking is the body of a 202. Version 1: fields may be added.
type taking struct {
	Version   int      `json:"version"`
	Applied   int      `json:"applied"`
	Unchanged int      `json:"unchanged"`
	Rejected  int      `json:"rejected"`
	Results   []Result `json:"results"`
}

// refusal is the body of a 4xx or 5xx.
type refusal struct {
	Error   string `json:"error"`
	Pointer string `json:"pointer,omitempty"` // into the body sent
}

// Receive handles one request: 202 once everything that can be stored is stored durably, with a result per record; 400
// for a body that is none of ours, 401 for a bad signature, 404 for a shop that takes no records, 413 beyond the limits, 415
// for another media type, 429 when too many requests are under way, 503 when nothing could be stored: send it again. The
// web layer calls it with the raw body and repeats nothing.
func (r *Receiver) Receive(ctx context.Context, shop string, h http.Header, body []byte) Answer {
	target, known := r.o.Shops[shop]
	if !known {
		r.o.Metrics.request("", unknownShop) // no label from the outside
		return refuse(http.StatusNotFound, "there is no shop of this name that takes records", "")
	}
	select {
	case r.places <- struct{}{}:
		defer func() { <-r.places }()
	default:
		r.o.Metrics.request(shop, busy)
		a := refuse(http.StatusTooManyRequests, "too many requests are under way", "")
		a.RetryAfter = time.Second
		return a
	}
	batch, answer, outcome := r.read(target, h, body)
	if outcome != "" {
		r.o.Metrics.request(shop, outcome)
		r.o.Log.Debug("push request refused", zap.String("shop", shop), zap.String("outcome", outcome))
		return answer
	}
	d := &delivery{shopID: target.ShopID, polled: target.Polled, batch: batch, at: crm.At(r.o.Now())}
	err := r.commits.Store(ctx, d)
	if err == nil {
		err = d.err
	}
	if err != nil {
		r.o.Metrics.request(shop, failed)
		r.o.Log.Warn("pushed records not stored", zap.String("shop", shop), zap.Int("records", len(batch.Records)), zap.Error(err))
		a := refuse(http.StatusServiceUnavailable, "the records could not be stored: send them again", "")
		a.RetryAfter = 5 * time.Second
		return a
	}
	r.o.Metrics.request(shop, taken)
	r.o.Metrics.results(shop, d.results)
	return accept(d.results)
}

// read verifies and decodes. outcome is "" when the batch is to be stored.
func (r *Receiver) read(t Target, h http.Header, body []byte) (b push.Batch, a Answer, outcome string) {
	if len(body) > push.MaxBody {
		return b, refuse(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes", push.MaxBody), ""), tooLarge
	}
	if media, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || media != "application/json" || h.Get("Content-Encoding") != "" {
		return b, refuse(http.StatusUnsupportedMediaType, "send Content-Type: application/json, without Content-Encoding", ""), badFormat
	}
	if err := push.Verify(t.Secrets, h, body, r.o.Wall()); err != nil {
		return b, refuse(http.StatusUnauthorized, err.Error(), ""), refused
	}
	b, err := push.Decode(body)
	if err == nil {
		return b, Answer{}, ""
	}
	if bad, ok := errors.AsType[*push.FormatError](err); ok && bad.TooMany {
		return b, refuse(http.StatusRequestEntityTooLarge, bad.Message, bad.Pointer), tooLarge
	} else if ok {
		return b, refuse(http.StatusBadRequest, bad.Message, bad.Pointer), badFormat
	}
	return b, refuse(http.StatusBadRequest, err.Error(), ""), badFormat
}

func refuse(status int, text, at string) Answer {
	return Answer{Status: status, Body: body(refusal{text, at})}
}

func accept(rs []Result) Answer {
	t := taking{Version: 1, Results: rs}
	for _, r := range rs {
		switch r.Status {
		case Applied:
			t.Applied++
		case Unchanged:
			t.Unchanged++
		default:
			t.Rejected++
		}
	}
	return Answer{Status: http.StatusAccepted, Body: body(t)}
}

func body(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers always have a JSON text
	}
	return b
}
