package mailer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/goccy/go-yaml"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/mirror"
	"github.com/relance/relance/internal/store"
	"github.com/relance/relance/segments/rule"
)

// States of a campaign.
const (
	CampaignDraft  = "draft"  // deployed, starts nothing
	CampaignArmed  = "armed"  // entries start it
	CampaignPaused = "paused" // entries are enrolled, nothing is sent
)

// reasonNotInFiles is why Deploy pauses a campaign that is no longer written anywhere.
const reasonNotInFiles = "It is no longer in the files"

type campaignRow struct {
	Campaign   string
	State      string
	Generation int64
	Hash       string
	ArmedAt    crm.Instant `db:"armed_at"`
	Reason     string
	UpdatedAt  crm.Instant `db:"updated_at"`
}

const campaignCols = "campaign, state, generation, hash, armed_at, reason, updated_at"

// Deployed says what Deploy did with one campaign: new, changed, unchanged, paused (no longer in the files), or
// resumed (in the files again).
type Deployed struct {
	Campaign   string
	Generation int64
	What       string
}

// Deploy stores definitions: a changed one becomes a new generation, which every process runs from its next step on;
// a new campaign is a draft. Campaigns missing from specs are paused. The specs are all of the installation, and
// valid; segments are those of the files. Called at start and at reload.
func Deploy(ctx context.Context, m *mirror.Mirror, specs CampaignFile, segments rule.File, now crm.Instant) ([]Deployed, error) {
	var done []Deployed
	err := m.DB().Write(ctx, "mailer.deploy", func(tx *store.Tx) error {
		done = nil
		var rows []campaignRow
		if err := tx.SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns"); err != nil {
			return err
		}
		stored := map[string]campaignRow{}
		for _, r := range rows {
			stored[r.Campaign] = r
		}
		for _, id := range slices.Sorted(maps.Keys(specs)) {
			d, err := deployOne(ctx, tx, id, specs[id], segments, stored[id], now)
			if err != nil {
				return err
			}
			done = append(done, d)
		}
		for _, id := range slices.Sorted(maps.Keys(stored)) {
			if _, still := specs[id]; still || stored[id].State == CampaignPaused || stored[id].State == CampaignDraft {
				continue
			}
			if err := setCampaignState(ctx, tx, id, CampaignPaused, reasonNotInFiles, now); err != nil {
				return err
			}
			done = append(done, Deployed{Campaign: id, Generation: stored[id].Generation, What: "paused"})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("deploying campaigns: %w", err)
	}
	return done, nil
}

func deployOne(ctx context.Context, tx *store.Tx, id string, spec CampaignSpec, segments rule.File, old campaignRow, now crm.Instant) (Deployed, error) {
	text, hash, err := encode(id, spec, segments)
	if err != nil {
		return Deployed{}, err
	}
	d := Deployed{Campaign: id, Generation: old.Generation, What: "unchanged"}
	back := old.State == CampaignPaused && old.Reason == reasonNotInFiles
	if old.Hash == hash && !back {
		return d, nil
	}
	row := campaignRow{Campaign: id, State: CampaignDraft, Generation: old.Generation, Hash: hash, ArmedAt: old.ArmedAt, Reason: old.Reason, UpdatedAt: now}
	switch {
	case old.Generation == 0:
		d.What = "new"
	case back:
		d.What, row.State, row.Reason = "resumed", CampaignArmed, ""
	default:
		d.What, row.State = "changed", old.State
		if err := armAnew(ctx, tx, id, spec, &row); err != nil {
			return d, err
		}
	}
	if old.Hash != hash {
		row.Generation++
		d.Generation = row.Generation
		err := tx.Insert(ctx, "campaign_defs", []string{"campaign", "generation", "hash", "spec", "created_at"}, [][]any{{id, row.Generation, hash, text, now}})
		if err != nil {
			return d, again(tx, err)
		}
	}
	return d, tx.Upsert(ctx, "campaigns", []string{"campaign"},
		[]string{"campaign", "state", "generation", "hash", "armed_at", "reason", "updated_at", "listens"},
		[][]any{{row.Campaign, row.State, row.Generation, row.Hash, row.ArmedAt, row.Reason, row.UpdatedAt, listensTo(id, spec, segments)}})
}

// listensTo says which facts of contacts the campaign must be told of: those that start it, and those that concern its runs.
func listensTo(id string, spec CampaignSpec, segments rule.File) int {
	told := spec.Trigger.listensTo()
	if c, _ := compile(id, spec, segments, nil); told == listensToNothing && c.alert() {
		return listensToFacts
	}
	return told
}

// armAnew lets an armed campaign that waits for other facts than before begin now: what happened until then would start
// it, since facts are looked at whenever their contact is, and nobody saw an audience for them.
func armAnew(ctx context.Context, tx *store.Tx, id string, spec CampaignSpec, row *campaignRow) error {
	if row.ArmedAt == 0 || len(spec.Trigger.given()) == 0 || !(&trigger{on: spec.Trigger.given()[0]}).listens() {
		return nil
	}
	before, err := definition(ctx, tx, id, row.Generation)
	if err != nil || before.sentence == spec.Trigger.Sentence() {
		return err
	}
	row.ArmedAt = row.UpdatedAt
	_, err = tx.ExecContext(ctx, "UPDATE campaign_shops SET armed_at=? WHERE campaign=? AND armed_at<?", row.ArmedAt, id, row.ArmedAt)
	return err
}

func setCampaignState(ctx context.Context, tx *store.Tx, id, state, reason string, now crm.Instant) error {
	n, err := store.Matched(tx.ExecContext(ctx, "UPDATE campaigns SET state=?, reason=?, updated_at=? WHERE campaign=?", state, clip(reason, 1000), now, id))
	if err == nil && n == 0 {
		return noCampaign(id)
	}
	return err
}

func noCampaign(id string) error {
	return &fault.Error{Class: fault.Operator, Op: "looking up campaign " + id, Err: mirror.ErrNotFound, Hint: "See `relance campaign list` for the ids"}
}

// Pause stops a campaign: entries are still enrolled, nothing is sent. What is too late when it resumes is refused.
func Pause(ctx context.Context, m *mirror.Mirror, id, reason string, now crm.Instant) error {
	return moveCampaign(ctx, m, id, CampaignArmed, CampaignPaused, reason, now)
}

// Resume ends a pause. The breaker counts anew from then on.
func Resume(ctx context.Context, m *mirror.Mirror, id string, now crm.Instant) error {
	return moveCampaign(ctx, m, id, CampaignPaused, CampaignArmed, "", now)
}

func moveCampaign(ctx context.Context, m *mirror.Mirror, id, from, to, reason string, now crm.Instant) error {
	err := m.DB().Write(ctx, "mailer.pause", func(tx *store.Tx) error {
		row, err := campaignByID(ctx, tx, id)
		switch {
		case err != nil:
			return err
		case row.State == to:
			return nil
		case row.State != from:
			return &fault.Error{Class: fault.Operator, Op: "changing campaign " + id, Err: fmt.Errorf("it is %s", row.State), Hint: "Only a campaign that is " + from + " can become " + to}
		}
		if to == CampaignArmed {
			if err := excuse(ctx, tx, id, now); err != nil {
				return err
			}
		}
		return setCampaignState(ctx, tx, id, to, reason, now)
	})
	if err != nil {
		return fmt.Errorf("making campaign %s %s: %w", id, to, err)
	}
	return nil
}

func campaignByID(ctx context.Context, q store.Queryer, id string) (campaignRow, error) {
	var rows []campaignRow
	if err := q.SelectContext(ctx, &rows, "SELECT "+campaignCols+" FROM campaigns WHERE campaign=?", id); err != nil {
		return campaignRow{}, fmt.Errorf("reading campaign %s: %w", id, err)
	}
	if len(rows) == 0 {
		return campaignRow{}, noCampaign(id)
	}
	return rows[0], nil
}

// stored is a definition as the database has it: with the segments that its conditions lean on, so that a generation says
// the same for as long as it lives.
type stored struct {
	Campaign CampaignSpec `yaml:"campaign"`
	Segments rule.File    `yaml:"segments,omitempty"`
}

// encode writes a definition as it is stored, and its identity.
func encode(id string, spec CampaignSpec, segments rule.File) (text, hash string, err error) {
	c, _ := compile(id, spec, segments, nil)
	raw, err := yaml.Marshal(stored{Campaign: withoutSecrets(spec), Segments: c.refers})
	if err != nil {
		return "", "", fmt.Errorf("writing the definition of campaign %s: %w", id, err)
	}
	sum := sha256.Sum256(raw)
	return string(raw), hex.EncodeToString(sum[:]), nil
}

// definition reads the definition of a generation.
func definition(ctx context.Context, q store.Queryer, id string, generation int64) (*campaign, error) {
	var text string
	if err := q.GetContext(ctx, &text, "SELECT spec FROM campaign_defs WHERE campaign=? AND generation=?", id, generation); err != nil {
		return nil, fmt.Errorf("reading generation %d of campaign %s: %w", generation, id, err)
	}
	var s stored
	if err := yaml.UnmarshalWithOptions([]byte(text), &s, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("reading generation %d of campaign %s: %w", generation, id, err)
	}
	c, problems := compile(id, s.Campaign, s.Segments, nil)
	if len(problems) > 0 {
		return nil, fmt.Errorf("reading generation %d of campaign %s: %s", generation, id, problems[0].Message)
	}
	return c, nil
}
