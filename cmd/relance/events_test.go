package main

import (
	"strings"
	"testing"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/mailer"
)

func TestWhatCameBackIsShown(t *testing.T) {
	t.Parallel()
	i := mailer.CampaignInfo{CameBack: map[string]int64{"clicked": 7, "delivered": 1190, "bounced": 0, "clicked_machine": 31}}
	if got := cameBack(i); got != "1190 delivered, 7 clicked, 31 clicked by machines" {
		t.Error(got)
	}
	if cameBack(mailer.CampaignInfo{}) != "" {
		t.Error("something is said of nothing")
	}
	if line := campaignLine(i); len(line.CameBack) != len(mailer.CameBack()) || line.CameBack[0].Count != 1190 {
		t.Errorf("%+v", line.CameBack)
	}
	var out strings.Builder
	at := crm.Instant(1_763_640_000_000)
	shownContact{Contact: "1", Audience: "default", Live: true, Mails: []shownMail{
		{At: rfc(at), MailEvent: mailer.MailEvent{At: at, Kind: mailer.EventClicked, Campaign: "win_back", Step: "first", URL: "https://boutique.example/", Machine: true, Why: "burst"}},
		{At: rfc(at), MailEvent: mailer.MailEvent{At: at, Kind: mailer.EventBounced, Campaign: "win_back", Step: "first", Hard: true, Reason: "no such user"}},
	}}.print(&out)
	wants(t, out.String(), "win_back, first, clicked, by a machine: several links", "https://boutique.example/", "bounced for good: no such user", rfc(at))
}
