package main

import (
	"bufio"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/relance/relance/internal/mirror"
)

// contactID understands what people say of a contact: an e-mail, "-" for one on standard input (so that it is in no
// shell history), or the contact's id. audience, when known, narrows the search. Errors repeat no address.
func (d *deps) contactID(m *mirror.Mirror, who, audience string) (int64, error) {
	if who == "-" {
		line, err := bufio.NewReader(d.in).ReadString('\n')
		if who = strings.TrimSpace(line); who == "" {
			return 0, usage("reading the contact from standard input: %w", errors.Join(errors.New("there is nothing"), err))
		}
	}
	if !strings.Contains(who, "@") {
		number, base := who, 10
		if public, ok := strings.CutPrefix(who, publicIDPrefix); ok { // as the page writes it
			number, base = public, 36
		}
		id, err := strconv.ParseInt(number, base, 64)
		if err != nil {
			return 0, usage("this is neither an e-mail nor the id of a contact")
		}
		return id, nil
	}
	found, err := d.contactsWith(m, who, audience)
	switch {
	case err != nil:
		return 0, err
	case len(found) == 0:
		return 0, errors.New("there is no contact with this address")
	case len(found) > 1:
		ids := make([]string, len(found))
		for i, id := range found {
			ids[i] = strconv.FormatInt(id, 10)
		}
		return 0, usage("this address is a contact of %d audiences; say which by its id: %s", len(found), strings.Join(ids, ", "))
	}
	return found[0], nil
}

func (d *deps) contactsWith(m *mirror.Mirror, email, audience string) ([]int64, error) {
	shops, err := m.Shops(d.ctx)
	if err != nil {
		return nil, err
	}
	var audiences, found []int64
	for _, s := range shops {
		if (audience == "" || s.Audience == audience) && !slices.Contains(audiences, s.AudienceID) {
			audiences = append(audiences, s.AudienceID)
		}
	}
	for _, id := range audiences {
		c, err := m.ContactByEmail(d.ctx, m.DB().Read(), id, email)
		if errors.Is(err, mirror.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for the contact: %w", err)
		}
		found = append(found, c.ID)
	}
	return found, nil
}
