package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/web"
	"github.com/relance/relance/mailer"
)

// choices are what the pages behind links of choice and of double opt-in need.
func (w *daemon) choices() *web.ChoicesFuncs {
	return &web.ChoicesFuncs{Show: w.showChoices, Save: w.saveChoices, Confirming: w.confirming, Confirm: w.confirm}
}

func (w *daemon) showChoices(ctx context.Context, token string, language func(string) string) (web.Choices, error) {
	page, err := mailer.Preferences(ctx, w.mirror, w.keys, token, w.topicsOf(token), crm.At(w.clock.Now()))
	return w.choicesOf(page, language), unsigned(err)
}

func (w *daemon) saveChoices(ctx context.Context, token string, c web.Choices, act web.Act, language func(string) string) (web.Choices, error) {
	known := w.topicsOf(token)
	wanted := mailer.Choices{Topics: map[string]bool{}, Frequency: c.Frequency, Hour: c.Hour, Locale: c.Locale, Birthday: c.Birthday}
	for _, t := range c.Topics {
		if !slices.Contains(known, t.ID) {
			return web.Choices{}, web.ErrBadChoice
		}
		wanted.Topics[t.ID] = t.Wanted
	}
	if len(known) > 0 && (len(wanted.Topics) == 0 || c.Locale != "" && c.Locale != "fr" && c.Locale != "en") {
		return web.Choices{}, web.ErrBadChoice
	}
	now := crm.At(w.clock.Now())
	page, err := mailer.SavePreferences(ctx, w.mirror, w.keys, token, wanted, mailer.Proof{Text: act.Text, IP: act.IP}, now)
	if errors.Is(err, mailer.ErrNoChoice) {
		return web.Choices{}, web.ErrBadChoice
	}
	return w.choicesOf(page, language), unsigned(err)
}

func (w *daemon) confirming(ctx context.Context, token string, language func(string) string) (web.Confirmation, error) {
	c, err := mailer.Confirming(ctx, w.mirror, w.keys, token, crm.At(w.clock.Now()))
	return w.confirmationOf(c, language), unsigned(err)
}

func (w *daemon) confirm(ctx context.Context, token string, act web.Act, language func(string) string) (web.Confirmation, error) {
	c, err := mailer.Confirm(ctx, w.mirror, w.keys, token, mailer.Proof{Text: act.Text, IP: act.IP}, crm.At(w.clock.Now()))
	return w.confirmationOf(c, language), unsigned(err)
}

// unsigned makes a refused token what the pages know.
func unsigned(err error) error {
	if err != nil && fault.ClassOf(err) == fault.Reject {
		return web.ErrNotFound
	}
	return err
}

func (w *daemon) confirmationOf(c mailer.Confirmation, language func(string) string) web.Confirmation {
	return web.Confirmation{Language: language(c.Language), Sender: w.senderOf(c.AudienceID), Expired: c.Expired, Done: c.Done}
}

// topicsOf lists what can be chosen through a link: the topics of its audience, none for a link that was not signed here.
func (w *daemon) topicsOf(token string) []string {
	audience, err := w.keys.AudienceOf(token)
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(w.topics(audience)))
}

// topics are the kinds of mails of an audience with their titles.
func (w *daemon) topics(audienceID int64) map[string]string {
	for _, s := range w.shops {
		if s.AudienceID == audienceID {
			return w.cfg.Audiences[s.Audience].AllTopics()
		}
	}
	return map[string]string{mailer.TopicMarketing: ""}
}

func (w *daemon) choicesOf(page mailer.ChoicesPage, language func(string) string) web.Choices {
	c := web.Choices{
		Language: language(page.Language), Sender: w.senderOf(page.AudienceID), Expired: page.Expired, Complained: page.Complained,
		Frequency: page.Frequency, Hour: page.Hour, Locale: page.Locale, Birthday: page.Birthday,
	}
	titles := w.topics(page.AudienceID)
	for _, id := range slices.Sorted(maps.Keys(page.Topics)) {
		c.Topics = append(c.Topics, web.ChoiceTopic{ID: id, Title: titles[id], Wanted: page.Topics[id]})
	}
	return c
}
