package web

// choicesText is what the pages of choices and of double opt-in say in one language.
type choicesText struct {
	Lang                                         string
	Title, From, Topics, All                     string
	Frequency, Always, Weekly, Monthly           string
	Hour, AnyHour, Clock                         string
	Locale, AsShop                               string
	Birthday, Save, None                         string
	Saved, SavedNone, Complained                 string
	AskTitle, Ask, Yes, Ignore                   string
	ConfirmedTitle, Confirmed                    string
	ExpiredTitle, Expired, UnknownTitle, Unknown string
	BadTitle, Bad, TroubledTitle, Troubled       string
	Proof                                        string // what a choice of topics means, for the ledger
}

func choicesTextFor(language string) choicesText {
	if language == "fr" {
		return choicesText{
			Lang: "fr", Title: "Vos préférences", From: "E‑mails de", Topics: "Je souhaite recevoir", All: "Les nouvelles et les offres par e‑mail",
			Frequency: "À quelle fréquence, au plus\u00a0?", Always: "Sans limite particulière", Weekly: "Une fois par semaine", Monthly: "Une fois par mois",
			Hour: "À quelle heure de préférence\u00a0?", AnyHour: "Peu importe", Clock: "h",
			Locale: "Dans quelle langue\u00a0?", AsShop: "Celle de la boutique",
			Birthday: "Votre anniversaire (facultatif)", Save: "Enregistrer", None: "Ne plus rien recevoir",
			Saved: "C’est enregistré.", SavedNone: "C’est enregistré : vous ne recevrez plus ces e‑mails.",
			Complained: "Un de nos messages a été signalé comme indésirable depuis votre messagerie : nous n’écrirons plus à cette adresse, même si vous cochez une case. Contactez la boutique pour changer cela.",
			AskTitle:   "Confirmer votre inscription\u00a0?", Ask: "En confirmant, vous acceptez de recevoir nos nouvelles et nos offres par e‑mail. Vous pourrez vous désabonner à tout moment.",
			Yes: "Oui, je confirme", Ignore: "Ce n’était pas vous ? Fermez cette page : vous ne recevrez rien.",
			ConfirmedTitle: "Merci, c’est confirmé", Confirmed: "Vous recevrez nos prochains e‑mails. Chacun contient un lien pour les arrêter.",
			ExpiredTitle: "Ce lien a expiré", Expired: "Ouvrez celui d’un e‑mail plus récent.",
			UnknownTitle: "Ce lien n’est pas valable", Unknown: "Il a peut-être été coupé à la copie. Ouvrez-le de nouveau depuis l’e‑mail.",
			BadTitle: "Cela n’a pas fonctionné", Bad: "Un des choix n’est pas possible. Ouvrez de nouveau le lien depuis votre e‑mail.",
			TroubledTitle: "Merci de réessayer dans une minute", Troubled: "Nous n’avons pas pu noter vos choix à l’instant. Rien n’a encore été modifié.",
			Proof: "Vos préférences : Je souhaite recevoir…",
		}
	}
	return choicesText{
		Lang: "en", Title: "Your choices", From: "E‑mails from", Topics: "I would like to receive", All: "News and offers by e‑mail",
		Frequency: "How often at most?", Always: "No limit of my own", Weekly: "Once a week", Monthly: "Once a month",
		Hour: "At what time, preferably?", AnyHour: "Any time", Clock: ":00",
		Locale: "In which language?", AsShop: "The shop’s",
		Birthday: "Your birthday (optional)", Save: "Save", None: "Stop all of these e‑mails",
		Saved: "Saved.", SavedNone: "Saved: you will get no more of these e‑mails.",
		Complained: "One of our messages was reported as spam from your mailbox: we no longer write to this address, even if you tick a box. Ask the shop to change that.",
		AskTitle:   "Confirm your subscription?", Ask: "By confirming you agree to receive our news and offers by e‑mail. You can unsubscribe at any time.",
		Yes: "Yes, I confirm", Ignore: "It was not you? Close this page: you will get nothing.",
		ConfirmedTitle: "Thank you, it is confirmed", Confirmed: "You will get our next e‑mails. Each has a link to stop them.",
		ExpiredTitle: "This link has expired", Expired: "Open the one in a newer e‑mail.",
		UnknownTitle: "This link is not valid", Unknown: "It may have been cut when it was copied. Open it again from the e‑mail.",
		BadTitle: "That did not work", Bad: "One of the choices is not possible. Open the link from your e‑mail again.",
		TroubledTitle: "Please try again in a minute", Troubled: "We could not note your choices just now. Nothing has been changed yet.",
		Proof: "Your choices: I would like to receive…",
	}
}
