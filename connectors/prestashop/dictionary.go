package prestashop

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/relance/relance/internal/fault"
)

// dictionary is what records refer to and what rarely changes. It is replaced, never changed.
type dictionary struct {
	zone       local
	zoneName   string
	shopName   string
	language   string            // id of the default language
	languages  map[string]string // id → BCP 47
	base       currency
	currencies map[string]currency
	states     map[string]orderState
	named      map[string]string // PS_OS_* → id of a state
	countries  map[string]string // id → ISO 3166
	regions    map[string]string // id → name
	groups     map[string]string // id → name
	sellsOut   bool              // PS_ORDER_OUT_OF_STOCK: products may be ordered when there are none
	read       time.Time
}

type currency struct {
	iso  string
	rate decimal.Decimal // units of it for one of the shop's default currency
}

const (
	dictionaryLife = 30 * time.Minute
	// An id that is not known may be new. It may also be wrong for ever, which must not cost a reading each time.
	dictionaryPause = time.Minute
)

func settingTable() resource {
	return resource{"configurations", "configurations", []string{"id", "name", "value"}, nil}
}

// settingNames are asked for one by one: the table holds passwords as well.
const settingNames = "PS_TIMEZONE|PS_LANG_DEFAULT|PS_CURRENCY_DEFAULT|PS_SHOP_NAME|PS_ORDER_OUT_OF_STOCK|" +
	osPayment + "|" + osPreparation + "|" + osShipping + "|" + osDelivered + "|" + osCanceled + "|" + osRefund + "|" + osError + "|" +
	osCheque + "|" + osBankwire + "|" + osOnDelivery

// words gives the dictionary, read anew when it is old.
func (s *Source) words(ctx context.Context) (*dictionary, error) {
	s.mu.Lock()
	d := s.dict
	s.mu.Unlock()
	if d != nil {
		if age := s.clock().Sub(d.read); age >= 0 && age < dictionaryLife {
			return d, nil
		}
	}
	return s.readWords(ctx)
}

// newWords reads the dictionary again because a record names something that is not in it.
func (s *Source) newWords(ctx context.Context, d *dictionary) (*dictionary, error) {
	if age := s.clock().Sub(d.read); age >= 0 && age < dictionaryPause {
		return d, nil
	}
	return s.readWords(ctx)
}

func (s *Source) readWords(ctx context.Context) (*dictionary, error) {
	d := &dictionary{
		languages: map[string]string{}, currencies: map[string]currency{}, states: map[string]orderState{}, named: map[string]string{},
		countries: map[string]string{}, regions: map[string]string{}, groups: map[string]string{}, read: s.clock(),
	}
	if err := s.readSettings(ctx, d); err != nil {
		return nil, err
	}
	for _, table := range []struct {
		res    resource
		needed bool
		row    func(json.RawMessage)
	}{
		{resource{"languages", "languages", []string{"id", "iso_code", "locale", "language_code"}, nil}, true, d.addLanguage},
		{resource{"currencies", "currencies", []string{"id", "iso_code", "conversion_rate", "deleted"}, nil}, true, d.addCurrency},
		{resource{"order_states", "order_states", []string{"id", "name", "unremovable", "delivery", "logable", "shipped", "paid", "deleted", "module_name"}, nil}, true, d.addState},
		{resource{"countries", "countries", []string{"id", "iso_code"}, nil}, false, d.addCountry},
		{resource{"states", "states", []string{"id", "name"}, nil}, false, d.addRegion},
		{resource{"groups", "groups", []string{"id", "name"}, nil}, false, d.addGroup},
	} {
		if err := s.everything(ctx, table.res, table.row); err != nil && (table.needed || !forbidden(err)) {
			return nil, err
		}
	}
	d.settle()
	s.mu.Lock()
	s.dict = d
	s.mu.Unlock()
	return d, nil
}

// everything reads a small table; a row that cannot be read is left out.
func (s *Source) everything(ctx context.Context, res resource, row func(json.RawMessage)) error {
	for last := int64(0); ; {
		g, err := s.client.after(ctx, res, nil, last, 500)
		if err != nil {
			return err
		}
		for _, raw := range g.rows {
			row(raw)
		}
		if g.end || g.last <= last {
			return nil
		}
		last = g.last
	}
}

func (s *Source) readSettings(ctx context.Context, d *dictionary) error {
	a, err := s.client.list(ctx, settingTable(), url.Values{"filter[name]": {"[" + settingNames + "]"}})
	if err != nil && !forbidden(err) {
		return err
	}
	for _, raw := range a.rows {
		name, _ := field(raw, "name")
		value, _ := field(raw, "value")
		switch name {
		case "PS_TIMEZONE":
			d.zoneName = value
		case "PS_LANG_DEFAULT":
			d.language = value
		case "PS_CURRENCY_DEFAULT":
			d.base.iso = value // its id; settle knows the code
		case "PS_SHOP_NAME":
			d.shopName = value
		case "PS_ORDER_OUT_OF_STOCK":
			d.sellsOut = value == "1"
		default:
			if strings.HasPrefix(name, "PS_OS_") {
				d.named[name] = value
			}
		}
	}
	if s.zone != "" {
		d.zoneName = s.zone
	}
	if d.zone.loc, err = location(d.zoneName); err == nil {
		return nil
	}
	return &fault.Error{
		Class: fault.Operator, Op: "prestashop: reading the shop's time zone", Err: errors.New("the shop does not tell its time zone to this key"),
		Hint: "Tick View (GET) for configurations in the webservice key's rights, or write the shop's zone into its file (zone: Europe/Paris).",
	}
}

// location knows IANA names and fixed offsets ("+02:00").
func location(name string) (*time.Location, error) {
	if t, err := time.Parse("-07:00", name); err == nil {
		_, offset := t.Zone()
		return time.FixedZone(name, offset), nil
	}
	if name == "" || name == "Local" {
		return nil, errors.New("no zone")
	}
	return time.LoadLocation(name)
}

// decode reads what it can of a row of a dictionary: one odd field must not lose the rest.
func decode[T any](raw json.RawMessage) (w T) {
	_ = json.Unmarshal(raw, &w) // what cannot be read stays empty
	return w
}

func (d *dictionary) addLanguage(raw json.RawMessage) {
	w := decode[struct {
		ID     ident `json:"id"`
		ISO    text  `json:"iso_code"`
		Locale text  `json:"locale"`
		Code   text  `json:"language_code"`
	}](raw)
	tag := string(w.Locale)
	if tag == "" {
		if tag = string(w.ISO); len(w.Code) == 5 {
			tag = strings.ToLower(string(w.Code[:2])) + "-" + strings.ToUpper(string(w.Code[3:]))
		}
	}
	d.languages[string(w.ID)] = tag
}

func (d *dictionary) addCurrency(raw json.RawMessage) {
	w := decode[struct {
		ID   ident  `json:"id"`
		ISO  text   `json:"iso_code"`
		Rate amount `json:"conversion_rate"`
	}](raw)
	rate, err := decimal.NewFromString(string(w.Rate))
	if err != nil || !rate.IsPositive() {
		rate = decimal.NewFromInt(1)
	}
	d.currencies[string(w.ID)] = currency{iso: strings.ToUpper(string(w.ISO)), rate: rate}
}

func (d *dictionary) addState(raw json.RawMessage) {
	w := decode[orderState](raw)
	d.states[string(w.ID)] = w
}

func (d *dictionary) addCountry(raw json.RawMessage) {
	id, _ := field(raw, "id")
	iso, _ := field(raw, "iso_code")
	d.countries[id] = strings.ToUpper(iso)
}

func (d *dictionary) addRegion(raw json.RawMessage) {
	id, _ := field(raw, "id")
	d.regions[id], _ = field(raw, "name")
}

func (d *dictionary) addGroup(raw json.RawMessage) {
	w := decode[struct {
		ID   ident      `json:"id"`
		Name translated `json:"name"`
	}](raw)
	d.groups[string(w.ID)] = w.Name.in(d.language)
}

// settle finds the default currency: the one that the settings name, else the one whose rate is 1.
func (d *dictionary) settle() {
	one := decimal.NewFromInt(1)
	base, ok := d.currencies[d.base.iso]
	if !ok {
		for _, id := range sortedKeys(d.currencies) {
			if c := d.currencies[id]; c.rate.Equal(one) {
				base = c
				break
			}
		}
	}
	d.base = base
}
