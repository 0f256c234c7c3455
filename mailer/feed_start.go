package mailer

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/store"
)

// What runs are about: enrolments.about, sends.about. Ids are the shop's own.
const (
	orderPrefix   = "order:"
	eventPrefix   = "event:"
	productPrefix = "product:"
	runPrefix     = "run:"
	yearPrefix    = "year:"
)

const roomAbout = 128

// about names what a run is about: "order:<shop>:<id>". An id that is too long for a key is named by its hash, so that no
// two are the same.
func about(prefix string, shopID int64, id string) string {
	name := prefix + strconv.FormatInt(shopID, 10) + ":" + id
	if len(name) <= roomAbout {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	return prefix + strconv.FormatInt(shopID, 10) + ":#" + hex.EncodeToString(sum[:])
}

// start is something that may start a run of one campaign for one contact.
type start struct {
	contact int64
	lane    int
	at      crm.Instant
	history bool   // not something that happened
	shopID  int64  // where; 0 = the cart's shop, or the contact's home
	about   string // "" = the contact
	key     string // its own occurrence, where the campaign goes by that
}

// startNeeds is what taking contacts in looks at.
func (p *pass) startNeeds() crm.Needs {
	n := crm.Needs{Carts: true}
	for _, r := range p.campaigns {
		n.Orders = n.Orders || r.occurrence == OccurrenceOrder
	}
	return n
}

// take decides about one start, counts what became of it and notes the new run. "" means that the campaign is not about
// this contact at all.
func (f *feeding) take(tx *store.Tx, r running, s start) (outcome string) {
	outcome, n := f.entry(r, s)
	if outcome == "" {
		return ""
	}
	f.counts.add(r.id, outcome, s.lane)
	if n != nil {
		key := feedKey{r.id, s.contact}
		n.ID, n.isNew = tx.NewID(), true
		f.byContact[key] = append(f.byContact[key], n)
		f.touched = append(f.touched, n)
	}
	return outcome
}

func (f *feeding) entry(r running, s start) (outcome string, n *enrolment) {
	profile := f.profiles[s.contact]
	if profile == nil || profile.Contact.MergedInto != 0 || profile.Contact.ErasedAt > 0 {
		return Gone, nil
	}
	w := occasion{start: s, earlier: f.byContact[feedKey{r.id, s.contact}], cart: openCart(profile)}
	if r.occurrence == OccurrenceCart && w.cart != nil {
		w.about, w.shopID = cartOccurrence(w.cart), w.cart.ShopID
	}
	if r.occurrence == OccurrenceOrder && !strings.HasPrefix(w.about, orderPrefix) {
		if o := lastOrdered(profile, s.at); o != nil {
			w.about, w.shopID = about(orderPrefix, o.ShopID, o.ID), o.ShopID
		}
	}
	if w.shopID == 0 {
		w.shopID = profile.Contact.HomeShopID
	}
	switch {
	case !f.inAudience(r, profile.Contact.AudienceID):
		return "", nil
	case s.history:
		return History, nil
	case r.state == CampaignDraft, !r.armedBy(w.shopID, s.at):
		return BeforeArming, nil
	case s.at.Add(r.notAfter) < f.now:
		return TooOld, nil
	case r.occurrence == OccurrenceCart && w.cart == nil:
		return NoCart, nil
	case r.occurrence == OccurrenceOrder && !strings.HasPrefix(w.about, orderPrefix):
		return NoOrder, nil
	}
	w.year = s.at.Time().In(f.e.zone(profile.Contact)).Year()
	occurrence, again := r.nextOccurrence(w)
	if !again {
		return Repeated, nil
	}
	n = &enrolment{
		Campaign: r.id, ContactID: s.contact, Lane: s.lane, Occurrence: occurrence, AudienceID: profile.Contact.AudienceID, ShopID: w.shopID,
		TriggeredAt: s.at, EnteredAt: f.now, About: w.about,
	}
	n.goTo(r, r.first(), s.at)
	return Enrolled, n
}

// lastOrdered is the newest order at an instant that was gone through with.
func lastOrdered(p *crm.Profile, at crm.Instant) *crm.ProfileOrder {
	for i, o := range slices.Backward(p.Orders) {
		if ordered(o) && o.PlacedAt <= at {
			return &p.Orders[i]
		}
	}
	return nil
}

func (p *pass) inAudience(r running, audienceID int64) bool {
	for _, s := range p.shops {
		if s.AudienceID == audienceID {
			return s.Audience == r.audience
		}
	}
	return false
}

// armedBy tells whether campaign and shop were armed at an instant; a contact without a home shop goes by the campaign.
func (r running) armedBy(shopID int64, at crm.Instant) bool {
	if shopID == 0 {
		return r.armedAt > 0 && at >= r.armedAt
	}
	armed := r.armed[shopID]
	return armed > 0 && at >= armed
}

// occasion is a start with what names the run.
type occasion struct {
	start
	earlier []*enrolment
	cart    *crm.ProfileCart // nil: none is open
	year    int              // of the contact's calendar
}

// nextOccurrence names the run that an occasion would start; ok is false when there was one already.
func (c *campaign) nextOccurrence(w occasion) (name string, ok bool) {
	switch c.occurrence {
	case OccurrenceOnce:
		return OccurrenceOnce, len(w.earlier) == 0
	case OccurrenceCart:
		name = cartOccurrence(w.cart)
	case OccurrenceOrder:
		name = w.about
	case OccurrenceYear:
		name = yearPrefix + strconv.Itoa(w.year)
	case "":
		name = w.key
	default:
		for _, n := range w.earlier {
			if n.open() || c.occurrence == OccurrenceAgain && n.TriggeredAt.Add(c.againAfter) > w.at {
				return "", false
			}
		}
		return "n:" + strconv.Itoa(len(w.earlier)+1), true
	}
	return name, !slices.ContainsFunc(w.earlier, func(n *enrolment) bool { return n.Occurrence == name })
}
