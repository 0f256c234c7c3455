package main

// The demo's second shop takes what anybody on this machine sends it, so that the examples of the push API can be tried.
const (
	demoPushShop   = "comptoir"
	demoPushSecret = "demo-secret-that-everybody-knows-0123456789"
)

// pushing tells how to send to the demo.
func (n *narrator) pushing(url string) {
	n.line("\nSend records to the shop %s, as a till or another platform would (docs/push-api.md):", demoPushShop)
	n.line("  RELANCE_URL=%s docs/examples/virtuemart/send.sh", url)
	n.line("  RELANCE_URL=%s docs/examples/drupal-commerce/send.sh", url)
}
