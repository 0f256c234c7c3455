package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/crm"
)

// shopCmd groups what looks into one shop.
type shopCmd struct {
	Preview previewCmd `cmd:"" help:"Read one record of a shop and show what the mapping makes of it; nothing is written."`
}

// knownShop finds a shop in the files.
func knownShop(cfg *config.Config, name string) (config.Shop, error) {
	s, ok := cfg.Shops[name]
	if !ok {
		return s, usage("there is no shop %q in %s; there are: %s", name, cfg.Dir, strings.Join(slices.Sorted(maps.Keys(cfg.Shops)), ", "))
	}
	return s, nil
}

// kindNamed understands a kind in singular and plural.
func kindNamed(text string) (crm.Kind, error) {
	var all []string
	for _, k := range crm.Kinds() {
		if text == string(k) || text == plural(k) {
			return k, nil
		}
		all = append(all, string(k))
	}
	return "", usage("%q is no kind of record; there are: %s", text, strings.Join(all, ", "))
}

// anyKind is kindNamed, but "" stands for every kind.
func anyKind(text string) (crm.Kind, error) {
	if text == "" {
		return "", nil
	}
	return kindNamed(text)
}

// idNamed is an id from the command line; "-" reads it from standard input, so that it is in no shell history.
func (d *deps) idNamed(text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	line, err := bufio.NewReader(d.in).ReadString('\n')
	if id := strings.TrimSpace(line); id != "" {
		return id, nil
	}
	return "", usage("reading the id from standard input: %w", errors.Join(errors.New("there is nothing"), err))
}

// refNamed is one record.
func (d *deps) refNamed(kind, id string) (crm.Ref, error) {
	k, err := kindNamed(kind)
	if err != nil {
		return crm.Ref{}, err
	}
	id, err = d.idNamed(id)
	if err != nil {
		return crm.Ref{}, err
	}
	return crm.Ref{Kind: k, ID: id}, nil
}

func refText(r crm.Ref) string { return fmt.Sprintf("%s %s", r.Kind, r.ID) }
