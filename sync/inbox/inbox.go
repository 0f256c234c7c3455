// Package inbox takes webhooks in: it verifies them, stores them durably together with the re-reads that they ask
// for, and only then lets the web layer answer 200. A webhook is a hint, never data.
package inbox

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/connectors"
	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/sync/together"
)

// MaxBody is the largest delivery taken, in bytes.
const MaxBody = 1 << 20

// Target is the shop behind a webhook address.
type Target struct {
	ShopID int64
	Hinter connectors.Hinter
}

// Options of a Receiver.
type Options struct {
	Shops   map[string]Target  // by shop name
	Wake    func(shopID int64) // told after the commit, to start the re-read at once; may be nil
	Now     func() time.Time   // business time
	Metrics *Metrics
	Log     *zap.Logger
}

// Receiver is the door for webhooks of all shops; safe for concurrent use.
type Receiver struct {
	shops   map[string]Target
	now     func() time.Time
	metrics *Metrics
	log     *zap.Logger
	commits *together.Committer[delivery]
}

// NewReceiver makes a Receiver. It owns no goroutine: the callers of Receive commit for each other.
func NewReceiver(m *mirror.Mirror, o Options) *Receiver {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(prometheus.NewRegistry())
	}
	return &Receiver{shops: o.Shops, now: o.Now, metrics: o.Metrics, log: o.Log, commits: together.New(maxBatch, func(delivery) int { return 1 }, storing{m, o.Wake}.commit)}
}

// Receive handles one delivery and says which HTTP status to answer: 200 once it is durable (or a harmless ping),
// 401 for a bad signature, 404 for an unknown shop, 413 beyond MaxBody, 503 when it could not be stored: the
// platform then counts a failure and polling will find the change. The web layer calls it with the raw bytes.
func (r *Receiver) Receive(ctx context.Context, shop string, h http.Header, body []byte) (status int) {
	target, known := r.shops[shop]
	if !known {
		r.metrics.count("", unknownShop) // no label from the outside
		return http.StatusNotFound
	}
	if len(body) > MaxBody {
		r.metrics.count(shop, tooLarge)
		return http.StatusRequestEntityTooLarge
	}
	ping, err := target.Hinter.Verify(h, body)
	switch {
	case err != nil:
		r.metrics.count(shop, refused)
		r.log.Debug("webhook refused", zap.String("shop", shop), zap.Error(err))
		return http.StatusUnauthorized
	case ping:
		r.metrics.count(shop, pinged)
		return http.StatusOK
	}
	d := delivery{
		shopID: target.ShopID, refs: target.Hinter.Decode(h, body), topic: topicOf(h), at: crm.At(r.now()), body: body,
	}
	if err := r.commits.Store(ctx, d); err != nil {
		r.metrics.count(shop, failed)
		r.log.Warn("webhook not stored", zap.String("shop", shop), zap.Error(err))
		return http.StatusServiceUnavailable
	}
	r.metrics.count(shop, stored)
	return http.StatusOK
}

const topicWidth = 64 // inbox.topic

// topicOf is what the platform calls the event, for people who look at the table: the X-…-Topic header that
// platforms send. Nothing is decided by it.
func topicOf(h http.Header) string {
	var names []string
	for name := range h {
		if strings.HasPrefix(name, "X-") && strings.HasSuffix(name, "-Topic") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	topic := h.Get(slices.Min(names))
	if !utf8.ValidString(topic) {
		return ""
	}
	if len(topic) > topicWidth {
		return ""
	}
	return topic
}
