package deliverability

import "fmt"

// Fared is how the mails of a sender fared over some days.
type Fared struct {
	Days       int
	Delivered  int64
	Bounced    int64 // for good
	Complained int64
}

// Limits of mailbox providers: complaints should stay below 0.1 % and must below 0.3 % (Gmail and Yahoo since 2024);
// bounces above 2 % are taken for a bought list, above 5 % providers step in.
const (
	complaintsHigh = 0.001
	complaintsMost = 0.003
	bouncesHigh    = 0.02
	bouncesMost    = 0.05
	fewestMails    = 200 // fewer say nothing
)

// Rates judges them.
func Rates(f Fared) []Finding {
	return []Finding{
		rate("complaints", "complained about", f.Complained, f.Delivered, f.Days, complaintsHigh, complaintsMost,
			"Write only to who asked for it, less often, and let the sleeping go; pause the campaign with the most complaints."),
		rate("bounces", "returned for good", f.Bounced, f.Delivered+f.Bounced, f.Days, bouncesHigh, bouncesMost,
			"Look where the addresses come from: imported or old lists, a form without confirmation."),
	}
}

func rate(check, what string, n, of int64, days int, high, most float64, do string) Finding {
	if of < fewestMails {
		return Finding{Check: check, Standing: Unknown, Says: fmt.Sprintf("%d mails in %d days: too few to say how many are %s.", of, days, what)}
	}
	share := float64(n) / float64(of)
	f := Finding{Check: check, Standing: Good, Says: fmt.Sprintf("%.2f %% of %d mails in %d days were %s (it should be below %.1f %%, and must be below %.1f %%).", 100*share, of, days, what, 100*high, 100*most)}
	switch {
	case share >= most:
		f.Standing, f.Do = Bad, do
	case share >= high:
		f.Standing, f.Do = Warning, do
	}
	return f
}
