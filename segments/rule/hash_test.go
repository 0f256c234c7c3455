package rule_test

import "testing"

// TestADefinitionKeepsItsHash: what is written as it always was is built anew for nothing when its hash changes.
func TestADefinitionKeepsItsHash(t *testing.T) {
	for text, want := range map[string]string{
		"bought: {}":                                                                 "c62be4b9d02c27b7c02db6c7f18dd0ec3e411a8175144cc4e49f615355f5ba21",
		"bought: {at_least: 2, within: 90d}":                                         "c96c803863c81a0df6f24392221a94949f7381262ed6e351dac69eaaab1c7feb",
		"bought: {exactly: 0, within: 90d}":                                          "fe4011843631d166114cbbc6e278c4cfc4fe7111f9c87d3363cbd93d5f4a8a98",
		"bought: {at_least: 3, of: quantity, sku: [S-7]}":                            "3389e5f324c0ca9502426ddd16ab383dce9ad261568d719ad3ee2df03f9ad46e",
		"bought: {at_least: 100 EUR, at_most: 500 EUR, product: 7}":                  "63e7031863833cd0273c639788140356104cdfdb0093c09e10fc92f2aacead4b",
		"bought: {category: shoes, between: {from: 2026-11-27, before: 2026-12-01}}": "d519cacb62426816b7858f3cba00bf698b968f20661a03ab96a26fbe8fb484ce",
		"last_purchase: {older_than: 60d, newer_than: 90d, category: [a, b]}":        "cebbf462dc6c7a68c5d81b1f8fc24af8a47ba8010fa24d415901d302a401be52",
		"open_cart: {idle_for: 1h, younger_than: 3d, at_least: 20 EUR}":              "5afb07a28fa28bd3e27955326aaf2478eeea8fcfc7b554901c394152d8d4a5df",
		"open_cart: {}":                              "88d4ad4649f7f641d21a2773c841ddb43b0e20fc4a9d27af0149ef5e0bbd146c",
		"registered: {within: 30d}":                  "b87f60c26a0f9b61f0b796c3af3ae031c5d2574b6d214e51963851584b594e32",
		"registered: {older_than: 30d, within: 40d}": "ea29f217de068f5e0b0ff4a7e3358ce9ba2cabc44385834d15abeff3e898667f",
		"all:\n  - last_purchase: {older_than: 60d}\n  - consent: granted\n  - not: {bought: {at_least: 2, within: 90d}}": "65ea48c21bc586f8fe29e17b1b0018b8f0d8167dc2c7f3b8fb54c1c5cc7077dd",
	} {
		if got := segment(t, text).Hash(); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
