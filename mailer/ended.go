package mailer

import (
	"context"
	"fmt"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/mirror"
)

// IsUnsubscribed tells whether what a token stands for has been ended already. Called by the page behind the link,
// which changes nothing. A contact that is gone has nothing left to end.
func IsUnsubscribed(ctx context.Context, m *mirror.Mirror, s Subject) (bool, error) {
	q := m.DB().Read()
	profiles, err := m.Profiles(ctx, q, []int64{s.ContactID}, crm.Needs{})
	if err != nil {
		return false, fmt.Errorf("reading an unsubscribe link: %w", err)
	}
	if len(profiles) == 0 || profiles[0].Contact.AudienceID != s.AudienceID {
		return true, nil
	}
	var n int
	if err := q.GetContext(ctx, &n, "SELECT COUNT(*) FROM suppressions WHERE audience_id=? AND email_hash=? AND scope=?",
		s.AudienceID, suppressionHash(s.AudienceID, profiles[0].Contact.EmailNorm), ScopeMarketing); err != nil {
		return false, fmt.Errorf("reading suppressions: %w", err)
	}
	return n > 0, nil
}
