package web

import "golang.org/x/text/language"

// unsubscribeText is what the pages say in one language. "From" texts stand before the sender's name.
type unsubscribeText struct {
	Lang                          string
	AskTitle, Ask, AskFrom        string
	Button                        string
	Keep                          string
	DoneTitle, Done, DoneFrom     string
	UnknownTitle, Unknown         string
	BadTitle, Bad                 string
	TroubledTitle, Troubled, Once string
}

func textFor(tag language.Tag) unsubscribeText {
	if base, _ := tag.Base(); base.String() == "fr" {
		return french()
	}
	return english()
}

func english() unsubscribeText {
	return unsubscribeText{
		Lang:     "en",
		AskTitle: "Unsubscribe?", Ask: "You will get no more of these e‑mails.", AskFrom: "You will get no more of these e‑mails from",
		Button: "Unsubscribe", Keep: "Changed your mind? Close this page: nothing has been changed.",
		DoneTitle: "You are unsubscribed", Done: "You will get no more of these e‑mails.", DoneFrom: "You will get no more of these e‑mails from",
		UnknownTitle: "This link is not valid",
		Unknown:      "It may have been cut when it was copied. Open it again from the e‑mail, or use the unsubscribe button of your mail program.",
		BadTitle:     "That did not work", Bad: "Open the link from your e‑mail again and press the button.",
		TroubledTitle: "Please try again in a minute", Troubled: "We could not note your choice just now. Nothing has been changed yet.", Once: "Try again",
	}
}

func french() unsubscribeText {
	return unsubscribeText{
		Lang:     "fr",
		AskTitle: "Se désabonner ?", Ask: "Vous ne recevrez plus ces e‑mails.", AskFrom: "Vous ne recevrez plus ces e‑mails de la part de",
		Button: "Me désabonner", Keep: "Vous avez changé d’avis ? Fermez cette page : rien n’a été modifié.",
		DoneTitle: "C’est fait, vous êtes désabonné", Done: "Vous ne recevrez plus ces e‑mails.", DoneFrom: "Vous ne recevrez plus ces e‑mails de la part de",
		UnknownTitle: "Ce lien n’est pas valable",
		Unknown:      "Il a peut-être été coupé à la copie. Ouvrez-le de nouveau depuis l’e‑mail, ou utilisez le bouton de désabonnement de votre messagerie.",
		BadTitle:     "Cela n’a pas fonctionné", Bad: "Ouvrez de nouveau le lien depuis votre e‑mail et appuyez sur le bouton.",
		TroubledTitle: "Merci de réessayer dans une minute", Troubled: "Nous n’avons pas pu noter votre choix à l’instant. Rien n’a encore été modifié.", Once: "Réessayer",
	}
}
