package deliverability

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// dmarc reads the policy of the domain, or of the domain that it belongs to.
func (d DNS) dmarc(ctx context.Context, domain string) Finding {
	for _, name := range slices.Compact([]string{domain, registered(domain)}) {
		records, err := d.texts(ctx, "_dmarc."+name)
		if err != nil {
			return unknown("dmarc", "_dmarc."+name, err)
		}
		var policies []string
		for _, r := range records {
			if strings.HasPrefix(strings.ToLower(strings.ReplaceAll(r, " ", "")), "v=dmarc1") {
				policies = append(policies, r)
			}
		}
		switch {
		case len(policies) > 1:
			return Finding{
				Check: "dmarc", Standing: Bad, Record: strings.Join(policies, " | "), Says: fmt.Sprintf("_dmarc.%s has %d policies; receivers then take none.", name, len(policies)),
				Do: "Keep one.",
			}
		case len(policies) == 1:
			return policyFinding(domain, name, policies[0])
		}
	}
	return Finding{
		Check: "dmarc", Standing: Bad, Says: domain + " has no DMARC record: Gmail and Yahoo refuse or hide the mails of larger senders without one.",
		Do: fmt.Sprintf("Add a TXT record at _dmarc.%s: v=DMARC1; p=none; rua=mailto:dmarc@%s", registered(domain), registered(domain)),
	}
}

func policyFinding(domain, at, record string) Finding {
	tags := tagsOf(record)
	policy := strings.ToLower(tags["p"])
	if sub := strings.ToLower(tags["sp"]); sub != "" && at != domain {
		policy = sub
	}
	f := Finding{Check: "dmarc", Standing: Good, Record: clipped(record), Says: fmt.Sprintf("Forged mails of %s are to be treated as %s.", domain, policy)}
	switch policy {
	case "quarantine", "reject":
		if strings.ToLower(tags["aspf"]) == "s" && strings.ToLower(tags["adkim"]) == "s" {
			f.Standing = Warning
			f.Says += " Both alignments are strict: a mail signed for another subdomain fails."
			f.Do = "Make sure that the provider signs for exactly " + domain + ", or drop adkim=s."
		}
	case "none":
		f.Standing, f.Says = Warning, fmt.Sprintf("The policy of %s only watches (p=none).", domain)
		f.Do = "Once the reports show that all your mail passes, go on to p=quarantine."
		if tags["rua"] == "" {
			f.Do = "Add rua=mailto:… so that somebody sees the reports, then go on to p=quarantine."
		}
	default:
		f.Standing, f.Says, f.Do = Bad, fmt.Sprintf("The DMARC record of %s has no policy that receivers know.", at), "Write p=none, p=quarantine or p=reject."
	}
	return f
}
