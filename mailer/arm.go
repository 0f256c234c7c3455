package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments"
)

// Audience is what `relance campaign arm` shows before it arms.
type Audience struct {
	Campaign   string
	Title      string
	Kind       string
	State      string
	Starts     string      // what starts it: "when somebody enters idle_cart"
	Segment    string      // that its trigger looks at, "" when it looks at none
	Broadcast  bool        // it is for whoever is in the segment then; else for nobody who is in it now
	BeginsAt   crm.Instant // of a broadcast, when the next run begins, somewhere in the world; 0: none is to come
	Built      bool        // the segment has been built; Members is not known before
	Members    int64       // in the segment now
	Shops      []AudienceShop
	Suppressed int64 // addresses of the audience that are never mailed
}

// AudienceShop is one shop whose contacts the campaign is about.
type AudienceShop struct {
	ShopID       int64
	Name         string
	BackfilledAt crm.Instant // 0: still being read; its contacts take part once that has ended
	ArmedAt      crm.Instant // 0: not armed
}

// PreviewArm counts whom arming a campaign at now is about. It changes nothing.
func PreviewArm(ctx context.Context, m *mirror.Mirror, id string, now crm.Instant) (Audience, error) {
	q := m.DB().Read()
	row, err := campaignByID(ctx, q, id)
	if err != nil {
		return Audience{}, err
	}
	c, err := definition(ctx, q, id, row.Generation)
	if err != nil {
		return Audience{}, err
	}
	a := Audience{
		Campaign: id, Title: c.title, Kind: c.kind, State: row.State, Starts: c.sentence, Segment: c.segment, Broadcast: c.on == triggerBroadcast,
	}
	infos, err := segments.Infos(ctx, q)
	if err != nil {
		return Audience{}, fmt.Errorf("counting segment %s: %w", c.segment, err)
	}
	for _, s := range infos {
		if s.ID == c.segment {
			a.Members, a.Built = s.Size, s.State == segments.StateLive
		}
	}
	audienceID, shops, err := audienceShops(ctx, m, q, c)
	if err != nil {
		return Audience{}, err
	}
	a.Shops = shops
	if c.runs != nil {
		if a.BeginsAt, err = c.runs.next(ctx, m, now); err != nil {
			return Audience{}, err
		}
	}
	if err := q.GetContext(ctx, &a.Suppressed, "SELECT COUNT(*) FROM suppressions WHERE audience_id=?", audienceID); err != nil {
		return Audience{}, fmt.Errorf("counting suppressions: %w", err)
	}
	return a, nil
}

func audienceShops(ctx context.Context, m *mirror.Mirror, q store.Queryer, c *campaign) (audienceID int64, list []AudienceShop, err error) {
	shops, err := m.Shops(ctx)
	if err != nil {
		return 0, nil, fmt.Errorf("listing shops: %w", err)
	}
	armed, err := armedShops(ctx, q)
	if err != nil {
		return 0, nil, err
	}
	for _, s := range shops {
		if s.Audience == c.audience {
			audienceID = s.AudienceID
			list = append(list, AudienceShop{ShopID: s.ID, Name: s.Name, BackfilledAt: s.BackfilledAt, ArmedAt: armed[c.id][s.ID]})
		}
	}
	return audienceID, list, nil
}

// Arm lets a draft start from entries that take effect from now on; a shop takes part from the end of its backfill.
// Arming an armed campaign changes nothing: history before the first arming never starts it. It is the only thing
// that arms.
func Arm(ctx context.Context, m *mirror.Mirror, id string, now crm.Instant) (Audience, error) {
	shops, err := m.Shops(ctx)
	if err != nil {
		return Audience{}, fmt.Errorf("arming campaign %s: %w", id, err)
	}
	err = m.DB().Write(ctx, "mailer.arm", func(tx *store.Tx) error {
		row, err := campaignByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if row.State != CampaignDraft {
			return nil
		}
		c, err := definition(ctx, tx, id, row.Generation)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE campaigns SET state=?, armed_at=?, reason='', updated_at=? WHERE campaign=?", CampaignArmed, now, now, id); err != nil {
			return err
		}
		return armShops(ctx, tx, c, now, shops, nil)
	})
	if err != nil {
		return Audience{}, fmt.Errorf("arming campaign %s: %w", id, err)
	}
	return PreviewArm(ctx, m, id, now)
}

// armShops arms the backfilled shops of the campaign's audience that are not armed yet.
func armShops(ctx context.Context, tx *store.Tx, c *campaign, campaignArmedAt crm.Instant, shops []mirror.Shop, armed map[int64]crm.Instant) error {
	var rows [][]any
	for _, s := range shops {
		if s.Audience == c.audience && s.BackfilledAt > 0 && armed[s.ID] == 0 {
			rows = append(rows, []any{c.id, s.ID, max(campaignArmedAt, s.BackfilledAt)})
		}
	}
	return tx.Upsert(ctx, "campaign_shops", []string{"campaign", "shop_id"}, []string{"campaign", "shop_id", "armed_at"}, rows)
}

func armedShops(ctx context.Context, q store.Queryer) (map[string]map[int64]crm.Instant, error) {
	var rows []struct {
		Campaign string
		ShopID   int64       `db:"shop_id"`
		ArmedAt  crm.Instant `db:"armed_at"`
	}
	if err := q.SelectContext(ctx, &rows, "SELECT campaign, shop_id, armed_at FROM campaign_shops"); err != nil {
		return nil, fmt.Errorf("reading armed shops: %w", err)
	}
	armed := map[string]map[int64]crm.Instant{}
	for _, r := range rows {
		if armed[r.Campaign] == nil {
			armed[r.Campaign] = map[int64]crm.Instant{}
		}
		armed[r.Campaign][r.ShopID] = r.ArmedAt
	}
	return armed, nil
}
