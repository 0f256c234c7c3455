package rule

import (
	"maps"
	"slices"

	"github.com/relance/relance/internal/crm"
	"github.com/relance/relance/internal/fault"
)

// Act is one kind of event, by its name and properties, as did has them. Campaigns wait for it.
type Act struct {
	Name string
	is   acts
}

// CompileAct reads a name and the values that properties must have. path is where they stand, for problems.
func CompileAct(path, name string, where map[string]string) (Act, []fault.Problem) {
	c := compiler{}
	c.texts(path+".name", "event such as viewed_product", List{name})
	a := Act{Name: name, is: acts{names: List{name}}}
	for _, p := range slices.Sorted(maps.Keys(where)) {
		a.is.where = append(a.is.where, property{p, c.test(path+".where", Comparison{Is: List{where[p]}})})
	}
	return a, c.problems
}

// Clicked is a click in one of a campaign's mails.
func Clicked(campaign string) Act {
	return Act{Name: eventClicked, is: acts{names: List{eventClicked}, where: []property{{"campaign", test{is: []string{campaign}}}}}}
}

// Is tells whether an event is of this kind. What a machine did with a mail is not.
func (a Act) Is(e *crm.ProfileEvent) bool { return a.is.counts(e) }
