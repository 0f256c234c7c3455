package woocommerce

import (
	"encoding/json"

	"github.com/relance/relance/connectors/lenient"
)

// What PHP writes is read by the types that all platforms share.
type (
	text        = lenient.Text
	ident       = lenient.Ident
	amount      = lenient.Amount
	flag        = lenient.Flag
	count       = lenient.Count
	stamp       = lenient.Stamp
	list[T any] = lenient.List[T]
)

const wireTime = lenient.WireTime

// person is billing or shipping.
type person struct {
	FirstName, LastName, Company, Address1, Address2, City, State, Postcode, Country, Email, Phone text
}

func (p *person) UnmarshalJSON(b []byte) error {
	var w struct {
		FirstName text `json:"first_name"`
		LastName  text `json:"last_name"`
		Company   text `json:"company"`
		Address1  text `json:"address_1"`
		Address2  text `json:"address_2"`
		City      text `json:"city"`
		State     text `json:"state"`
		Postcode  text `json:"postcode"`
		Country   text `json:"country"`
		Email     text `json:"email"`
		Phone     text `json:"phone"`
	}
	err := lenient.Object(b, &w)
	*p = person(w)
	return err
}

// picture is the image of a product or line; its id may be a number, a string or "".
type picture struct{ Src text }

func (p *picture) UnmarshalJSON(b []byte) error {
	var w struct {
		Src text `json:"src"`
	}
	err := lenient.Object(b, &w)
	*p = picture(w)
	return err
}

// meta is one of meta_data; a key can occur twice and the value can be anything.
type meta struct {
	Key   text            `json:"key"`
	Value json.RawMessage `json:"value"`
}
