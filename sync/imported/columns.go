package imported

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/relance/relance/internal/crm"
)

// Fields of a person that a column can hold. Any other of the form attributes.NAME becomes an attribute.
const (
	fieldEmail         = "email"
	fieldFirstName     = "first_name"
	fieldLastName      = "last_name"
	fieldCompany       = "company"
	fieldPhone         = "phone"
	fieldLocale        = "locale"
	fieldBirthday      = "birthday"
	fieldRegistered    = "registered_at"
	fieldLine1         = "line1"
	fieldLine2         = "line2"
	fieldPostcode      = "postcode"
	fieldCity          = "city"
	fieldRegion        = "region"
	fieldCountry       = "country"
	fieldConsent       = "consent"
	fieldConsentDate   = "consent_date"
	fieldConsentSource = "consent_source"
	fieldConsentText   = "consent_text"
	fieldConsentIP     = "consent_ip"

	attributePrefix = "attributes."
)

// Fields lists the fields in the order in which people are told of them.
func Fields() []string {
	return []string{
		fieldEmail, fieldFirstName, fieldLastName, fieldCompany, fieldPhone, fieldLocale, fieldBirthday, fieldRegistered, fieldLine1, fieldLine2,
		fieldPostcode, fieldCity, fieldRegion, fieldCountry, fieldConsent, fieldConsentDate, fieldConsentSource, fieldConsentText, fieldConsentIP,
	}
}

// guesses are headers as French and English programs write them, bare of capitals, accents and signs.
func guesses(field string) []string {
	switch field {
	case fieldEmail:
		return []string{"email", "emailaddress", "mail", "adresseemail", "adressemail", "courriel", "adressecourriel", "adresseelectronique", "emailclient", "customeremail"}
	case fieldFirstName:
		return []string{"firstname", "prenom", "givenname", "fname", "forename"}
	case fieldLastName:
		return []string{"lastname", "nom", "nomdefamille", "surname", "familyname", "lname"}
	case fieldCompany:
		return []string{"company", "societe", "entreprise", "organisation", "organization", "raisonsociale"} //nolint:misspell // both are written
	case fieldPhone:
		return []string{"phone", "telephone", "tel", "phonenumber", "mobile", "portable", "numerodetelephone"}
	case fieldLocale:
		return []string{"locale", "language", "langue", "lang"}
	case fieldBirthday:
		return []string{"birthday", "birthdate", "dateofbirth", "datedenaissance", "naissance", "anniversaire", "dob"}
	case fieldRegistered:
		return []string{"registeredat", "registered", "createdat", "datedecreation", "dateinscription", "datedinscription", "inscritle"}
	case fieldLine1:
		return []string{"line1", "address", "address1", "adresse", "adresse1", "street", "rue"}
	case fieldLine2:
		return []string{"line2", "address2", "adresse2", "complement", "complementdadresse"}
	case fieldPostcode:
		return []string{"postcode", "zip", "zipcode", "postalcode", "codepostal", "cp"}
	case fieldCity:
		return []string{"city", "ville", "town", "localite"}
	case fieldRegion:
		return []string{"region", "state", "province", "departement"}
	case fieldCountry:
		return []string{"country", "pays", "countrycode", "codepays"}
	case fieldConsent:
		return []string{"consent", "consentement", "optin", "newsletter", "newsletteroptin", "marketing", "emailmarketing", "acceptsmarketing", "acceptsemailmarketing", "subscribed", "abonne", "inscrit", "statut", "status"}
	case fieldConsentDate:
		return []string{"consentdate", "consentat", "dateconsentement", "datedeconsentement", "dateduconsentement", "optintime", "optindate", "confirmtime", "dateoptin", "datedoptin", "subscribedat"}
	case fieldConsentSource:
		return []string{"consentsource", "sourceconsentement", "sourceduconsentement", "optinsource", "source"}
	case fieldConsentText:
		return []string{"consenttext", "texteconsentement", "texteduconsentement", "optintext"}
	case fieldConsentIP:
		return []string{"consentip", "optinip", "confirmip", "ip", "ipconsentement", "adresseip", "ipaddress"}
	}
	return nil
}

// bare is a header without capitals, accents and signs.
func bare(s string) string {
	return strings.Map(func(r rune) rune {
		if r = unicode.ToLower(r); unicode.IsLetter(r) || unicode.IsDigit(r) {
			return r
		}
		return -1
	}, norm.NFD.String(s))
}

// columns says which column holds which field.
type columns struct {
	names  []string       // of the header
	at     map[string]int // field → place
	unused []string
}

// columnsOf finds the columns of fields: those that the person named, then those that the header suggests. A field
// named with "" is left out.
func columnsOf(header []string, named map[string]string) (*columns, error) {
	c := &columns{at: map[string]int{}}
	for _, name := range header {
		name = strings.TrimSpace(name)
		if crm.NormEmail(name) != "" {
			return nil, errors.New("its first line holds a person, not the names of the columns")
		}
		c.names = append(c.names, name)
	}
	used := map[int]bool{}
	for _, field := range slices.Sorted(maps.Keys(named)) {
		name := named[field]
		if !slices.Contains(Fields(), field) && (!strings.HasPrefix(field, attributePrefix) || len(field) == len(attributePrefix)) {
			return nil, fmt.Errorf("there is no field %q to map to: one of %s, or attributes.NAME", field, strings.Join(Fields(), ", "))
		}
		if name == "" {
			continue
		}
		i := slices.IndexFunc(c.names, func(n string) bool { return strings.EqualFold(n, name) })
		if i < 0 {
			return nil, fmt.Errorf("the list has no column %q; it has %s", name, strings.Join(c.names, ", "))
		}
		c.at[field], used[i] = i, true
	}
	for _, field := range Fields() {
		if _, said := named[field]; said {
			continue
		}
		for _, guess := range guesses(field) { // the likelier ones first
			i := slices.IndexFunc(c.names, func(n string) bool { return bare(n) == guess })
			if i >= 0 && !used[i] {
				c.at[field], used[i] = i, true
				break
			}
		}
	}
	if _, ok := c.at[fieldEmail]; !ok {
		return nil, fmt.Errorf("no column is recognised as the e-mail address: say which with --map email=COLUMN; the list has %s", strings.Join(c.names, ", "))
	}
	for i, name := range c.names {
		if !used[i] && name != "" {
			c.unused = append(c.unused, name)
		}
	}
	return c, nil
}

// cell is a field's text in a row, "" when the list has no such column.
func (c *columns) cell(row []string, field string) string {
	if i, ok := c.at[field]; ok && i < len(row) {
		return strings.TrimSpace(row[i])
	}
	return ""
}

// recognised maps fields to the names of their columns, for people.
func (c *columns) recognised() map[string]string {
	out := map[string]string{}
	for field, i := range c.at {
		out[field] = c.names[i]
	}
	return out
}
