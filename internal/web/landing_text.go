package web

import "time"

// landingText is what the pages say in one language. "From" texts stand before the shop's title.
type landingText struct {
	Lang                               string
	CartTitle, Cart, CartFrom          string
	PicksTitle, Picks, PicksFrom       string
	Empty                              string
	Total                              string
	ToCart, CartNote                   string
	ToShop                             string
	CouponTitle, CouponWorth, Until    string
	ExpiredTitle, Expired, ExpiredFrom string
	UnknownTitle, Unknown              string
	TroubledTitle, Troubled            string
	Quantity                           string
}

func landingTextFor(lang string) landingText {
	if lang == "fr" {
		return landingText{
			Lang:      "fr",
			CartTitle: "Votre panier vous attend", Cart: "Voici ce que vous aviez choisi.", CartFrom: "Voici ce que vous aviez choisi chez",
			PicksTitle: "Choisi pour vous", Picks: "Quelques articles qui pourraient vous plaire.", PicksFrom: "Quelques articles qui pourraient vous plaire chez",
			Empty: "Tout est à la boutique.", Total: "Total", ToCart: "Aller à mon panier",
			CartNote:    "Depuis un autre téléphone ou ordinateur, connectez-vous à la boutique pour retrouver votre panier, ou ajoutez de nouveau les articles ci-dessus.",
			ToShop:      "Aller à la boutique",
			CouponTitle: "Votre code", CouponWorth: "de remise", Until: "Valable jusqu’au",
			ExpiredTitle: "Ce lien a expiré", Expired: "Ce qu’il montrait n’est plus là. La boutique, elle, est toujours ouverte.",
			ExpiredFrom:  "Ce qu’il montrait n’est plus là. La boutique, elle, est toujours ouverte :",
			UnknownTitle: "Ce lien n’est pas valable", Unknown: "Il a peut-être été coupé à la copie. Ouvrez-le de nouveau depuis l’e‑mail.",
			TroubledTitle: "Merci de réessayer dans une minute", Troubled: "Cette page ne peut pas être affichée à l’instant.",
			Quantity: "Quantité",
		}
	}
	return landingText{
		Lang:      "en",
		CartTitle: "Your cart is waiting", Cart: "Here is what you had chosen.", CartFrom: "Here is what you had chosen at",
		PicksTitle: "Picked for you", Picks: "A few things that you may like.", PicksFrom: "A few things that you may like at",
		Empty: "Everything is at the shop.", Total: "Total", ToCart: "Go to my cart",
		CartNote:    "On another device, log in to the shop to find your cart again, or add the items above once more.",
		ToShop:      "Go to the shop",
		CouponTitle: "Your code", CouponWorth: "off", Until: "Good until",
		ExpiredTitle: "This link has expired", Expired: "What it showed is no longer there. The shop is still open.",
		ExpiredFrom:  "What it showed is no longer there. The shop is still open:",
		UnknownTitle: "This link is not valid", Unknown: "It may have been cut when it was copied. Open it again from the e‑mail.",
		TroubledTitle: "Please try again in a minute", Troubled: "This page cannot be shown just now.",
		Quantity: "Quantity",
	}
}

// dayIn writes a day as people do: "24 décembre 2026", "24 December 2026".
func dayIn(lang string, t time.Time) string {
	if lang != "fr" {
		return t.Format("2 January 2006")
	}
	months := [...]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}
	day := t.Format("2")
	if t.Day() == 1 {
		day = "1er"
	}
	return day + " " + months[t.Month()-1] + t.Format(" 2006")
}
