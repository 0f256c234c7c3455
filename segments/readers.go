package segments

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// ErrUnknown says that no such segment is in force.
var ErrUnknown = errors.New("no such segment")

// Info is a segment for lists.
type Info struct {
	ID         string `json:"id"`
	Title      string `json:"title,omitempty"`
	Size       int64  `json:"size"`        // members as of the watermark; of the definition before while an edit is being built
	State      string `json:"state"`       // building (for the first time) or live
	BuildDone  int64  `json:"build_done"`  // contacts seen by the build that is under way
	BuildTotal int64  `json:"build_total"` // 0 when none is

	BuildETA time.Duration `json:"-"` // what is left of the build at its pace so far; 0 = not known
}

// Infos lists the segments in force by id.
func Infos(ctx context.Context, q store.Queryer) ([]Info, error) {
	var rows []defRow
	if err := q.SelectContext(ctx, &rows, `SELECT segment, generation, state, spec, build_position, build_total, build_began, build_seen FROM segment_defs
 WHERE state IN ('live','building') ORDER BY segment, generation`); err != nil {
		return nil, fmt.Errorf("listing segments: %w", err)
	}
	var out []Info
	for _, r := range rows {
		if len(out) == 0 || out[len(out)-1].ID != r.Segment {
			out = append(out, Info{ID: r.Segment, State: StateBuilding})
		}
		i := &out[len(out)-1]
		if seg, err := rule.Decode(r.Segment, r.Spec); err == nil { // a title is not worth failing for
			i.Title = seg.Title
		}
		if r.State == StateBuilding {
			i.BuildDone, i.BuildTotal = r.BuildDone, max(r.BuildTotal, r.BuildDone)
			i.BuildETA = r.eta()
			continue
		}
		i.State = StateLive
		var err error
		if i.Size, err = Size(ctx, q, r.Segment); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eta is what is left of a build at its pace so far.
func (r defRow) eta() time.Duration {
	took := time.Duration(r.BuildSeen-r.BuildBegan) * time.Millisecond
	if took <= 0 || r.BuildDone <= 0 || r.BuildTotal <= r.BuildDone {
		return 0
	}
	return time.Duration(float64(took) * float64(r.BuildTotal-r.BuildDone) / float64(r.BuildDone)).Round(time.Second)
}

// Size is how many members a segment has as of the watermark.
func Size(ctx context.Context, q store.Queryer, segment string) (int64, error) {
	var n int64
	if err := q.GetContext(ctx, &n, `SELECT COALESCE(SUM(z.members),0) FROM segment_defs d JOIN segment_sizes z ON z.segment=d.segment AND z.generation=d.generation
 WHERE d.segment=? AND d.state='live'`, segment); err != nil {
		return 0, fmt.Errorf("counting segment %s: %w", segment, err)
	}
	return n, nil
}

// Member is one contact of a segment.
type Member struct {
	ContactID int64       `db:"contact_id" json:"contact"`
	Since     crm.Instant `json:"since_ms"` // when it entered
}

// Members pages through a segment as of the watermark, by contact id.
func Members(ctx context.Context, q store.Queryer, segment string, after int64, limit int) ([]Member, error) {
	var out []Member
	if err := q.SelectContext(ctx, &out, `SELECT m.contact_id, m.since FROM segment_defs d JOIN memberships m ON m.segment=d.segment AND m.generation=d.generation
 WHERE d.segment=? AND d.state='live' AND m.contact_id>? ORDER BY m.contact_id LIMIT ?`, segment, after, limit); err != nil {
		return nil, fmt.Errorf("listing members of %s: %w", segment, err)
	}
	return out, nil
}

// eachMembers pages through a segment's members.
func eachMembers(ctx context.Context, q store.Queryer, segment string, use func(ids []int64) error) error {
	for after := int64(0); ; {
		ms, err := Members(ctx, q, segment, after, batchSize)
		if err != nil || len(ms) == 0 {
			return err
		}
		ids := make([]int64, len(ms))
		for i, m := range ms {
			ids[i] = m.ContactID
		}
		after = ids[len(ids)-1]
		if err := use(ids); err != nil {
			return err
		}
	}
}

// MembersAt evaluates a page of contacts at an instant, past or to come, by the facts that are known today. It gives
// those that match and the id to go on after; 0 when that was the last page.
func MembersAt(ctx context.Context, m *mirror.Mirror, s *rule.Segment, at crm.Instant, after int64, limit int) (ids []int64, next int64, err error) {
	q := m.DB().Read()
	page, err := m.ContactIDs(ctx, q, after, min(limit, batchSize))
	if err != nil || len(page) == 0 {
		return nil, 0, err
	}
	profiles, err := Profiles(ctx, m, q, page, s.Needs())
	if err != nil {
		return nil, 0, err
	}
	for i := range profiles {
		if s.Match(&profiles[i], at) {
			ids = append(ids, profiles[i].Contact.ID)
		}
	}
	return ids, page[len(page)-1], nil
}

// Definition is the compiled definition that readers see: the live one, else the one being built. ErrUnknown.
func Definition(ctx context.Context, q store.Queryer, segment string) (*rule.Segment, error) {
	var text string
	err := q.GetContext(ctx, &text, "SELECT spec FROM segment_defs WHERE segment=? AND state IN ('live','building') ORDER BY generation LIMIT 1", segment)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("reading segment %s: %w", segment, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("reading segment %s: %w", segment, err)
	}
	return rule.Decode(segment, text)
}

// Why is the answer to "why is this contact (not) in that segment".
type Why struct {
	Segment     string           `json:"segment"`
	ContactID   int64            `json:"contact"`
	At          crm.Instant      `json:"at_ms"`
	Member      bool             `json:"member"` // as stored, as of the watermark
	Explanation rule.Explanation `json:"explanation"`
	Changes     []Change         `json:"changes"` // what was recorded, oldest first
}

// Explain evaluates one contact at an instant by the facts known today. mirror.ErrNotFound, ErrUnknown.
func Explain(ctx context.Context, m *mirror.Mirror, segment string, contactID int64, at crm.Instant) (Why, error) {
	q := m.DB().Read()
	w := Why{Segment: segment, ContactID: contactID, At: at}
	s, err := Definition(ctx, q, segment)
	if err != nil {
		return w, err
	}
	ps, err := Profiles(ctx, m, q, []int64{contactID}, s.Needs())
	if err != nil {
		return w, err
	}
	if len(ps) == 0 {
		return w, fmt.Errorf("explaining segment %s: %w", segment, mirror.ErrNotFound)
	}
	w.Explanation = s.Explain(&ps[0], at)
	if w.Member, err = IsMember(ctx, q, contactID, segment); err != nil {
		return w, err
	}
	if err := q.SelectContext(ctx, &w.Changes, "SELECT "+changeColumns+" FROM segment_changes WHERE contact_id=? AND segment=? ORDER BY recorded_at, id",
		contactID, segment); err != nil {
		return w, fmt.Errorf("reading the changes of segment %s: %w", segment, err)
	}
	return w, nil
}
