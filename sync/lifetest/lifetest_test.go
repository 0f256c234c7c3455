package lifetest

import (
	"testing"
	"time"

	"github.com/relance/relance/internal/store"
)

func TestALifeEndsWithTheMirrorAsTheShopIs(t *testing.T) {
	Run(t, func(_ *testing.T, clock func() time.Time) Shop { return newToy(clock, sins{}) })
}

// A test that cannot fail shows nothing: every mistake of a connector is found out.
func TestALifeBringsMistakesToLight(t *testing.T) {
	for name, s := range map[string]sins{
		"misses what was edited":   {missesEdits: true},
		"keeps what was deleted":   {keepsDeleted: true},
		"misreads an amount":       {wrongAmount: true},
		"rejects what is in order": {rejects: true},
		"pretends to act":          {pretends: true},
		"overlooks consent":        {ignoresConsent: true},
	} {
		t.Run(name, func(t *testing.T) {
			if live(t, store.SQLite, 1, func(_ *testing.T, clock func() time.Time) Shop { return newToy(clock, s) }) == "" {
				t.Error("nobody noticed")
			}
		})
	}
}

func TestASeedIsALife(t *testing.T) {
	once := func() string {
		return live(t, store.SQLite, 2, func(_ *testing.T, clock func() time.Time) Shop { return newToy(clock, sins{wrongAmount: true}) })
	}
	if first := once(); first == "" || first != once() {
		t.Error("the same seed gives another life")
	}
}
