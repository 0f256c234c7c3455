package prestashop

import (
	"net/url"
	"slices"

	"github.com/relance/relance/connectors/mapping"
)

// The fields that are read of each resource. Password hashes, secure keys and tokens are never among them.

func addressTable() resource {
	return resource{"addresses", "addresses", []string{
		"id", "id_customer", "id_country", "id_state", "company", "address1", "address2", "postcode", "city", "phone", "phone_mobile",
		"deleted", "date_upd",
	}, nil}
}

func slipTable() resource {
	return resource{"order_slip", "order_slips", []string{
		"id", "id_order", "conversion_rate", "total_products_tax_excl", "total_products_tax_incl", "total_shipping_tax_incl", "amount",
		"order_slip_type", "date_add", "date_upd", "order_slip_details[id,id_order_detail,product_quantity,amount_tax_incl]",
	}, nil}
}

func cartTable() resource {
	return resource{"carts", "carts", []string{
		"id", "id_customer", "id_currency", "id_lang", "date_add", "date_upd", "cart_rows[id_product,id_product_attribute,id_customization,quantity]",
	}, nil}
}

func categoryTable() resource {
	return resource{"categories", "categories", []string{"id", "id_parent", "name", "link_rewrite"}, nil}
}

func combinationTable() resource {
	return resource{"combinations", "combinations", []string{
		"id", "id_product", "reference", "price", "final", "product_option_values[id]",
	}, finalPrice()}
}

func stockTable() resource {
	return resource{"stock_availables", "stock_availables", []string{"id", "id_product", "id_product_attribute", "quantity", "out_of_stock"}, nil}
}

func historyTable() resource {
	return resource{"order_histories", "order_histories", []string{"id", "id_order", "id_order_state", "date_add"}, nil}
}

func optionTable() resource {
	return resource{"product_option_values", "product_option_values", []string{"id", "name"}, nil}
}

func brandTable() resource {
	return resource{"manufacturers", "manufacturers", []string{"id", "name"}, nil}
}

func voucherTable() resource {
	return resource{"order_cart_rules", "order_cart_rules", []string{"id", "id_order", "id_cart_rule", "name", "deleted"}, nil}
}

func cartRuleTable() resource {
	return resource{"cart_rules", "cart_rules", []string{"id", "code"}, nil}
}

// finalPrice makes the shop compute what a visitor pays, as the field "final".
func finalPrice() url.Values { return url.Values{"price[final][use_tax]": {"1"}} }

func (s *Source) customers() resource {
	return resource{"customers", "customers", []string{
		"id", "id_default_group", "id_lang", "newsletter_date_add", "deleted", "lastname", "firstname", "email", "id_gender", "birthday",
		"newsletter", "optin", "website", "company", "siret", "ape", "active", "is_guest", "date_add", "date_upd", "groups[id]",
	}, nil}.with(plain(s.ofCustomers())...)
}

func (s *Source) ofCustomers() []*mapping.Expression {
	m := s.mapping
	out := []*mapping.Expression{m.Birthday, m.Locale, m.CustomerConsent}
	for _, e := range m.Attributes {
		out = append(out, &e)
	}
	return out
}

// expressions are all that the mapping has.
func (s *Source) expressions() []*mapping.Expression {
	return append(s.ofCustomers(), s.mapping.OrderOptIn, s.mapping.Brand)
}

// consents are the few fields that consent needs, of all customers.
func (s *Source) consents() resource {
	e := s.mapping.CustomerConsent
	res := resource{"customers", "customers", []string{"id", "newsletter", "newsletter_date_add", "optin", "active", "deleted", "is_guest"}, nil}
	switch e.Field {
	case "language":
		return res.with("id_lang")
	case "group":
		return res.with("id_default_group")
	case "groups":
		return res.with("groups[id]")
	}
	return res.with(plain([]*mapping.Expression{e})...)
}

func (s *Source) orders() resource {
	return resource{"orders", "orders", []string{
		"id", "id_address_delivery", "id_address_invoice", "id_cart", "id_currency", "id_customer", "current_state", "module", "payment",
		"invoice_date", "date_add", "date_upd", "total_discounts", "total_discounts_tax_incl", "total_paid", "total_paid_tax_incl",
		"total_paid_tax_excl", "total_products_wt", "total_shipping", "total_shipping_tax_incl", "conversion_rate", "reference",
		"order_rows[id,product_id,product_attribute_id,product_quantity,product_name,product_reference,unit_price_tax_incl]",
	}, nil}.with(plain([]*mapping.Expression{s.mapping.OrderOptIn})...)
}

func (s *Source) products() resource {
	return resource{"products", "products", []string{
		"id", "id_manufacturer", "manufacturer_name", "id_default_image", "type", "reference", "price", "final", "active", "available_for_order",
		"name", "date_upd", "categories[id]",
	}, finalPrice()}.with(plain([]*mapping.Expression{s.mapping.Brand})...)
}

// plain are the shop's own fields that expressions name. Those that are made up here come from others; secrets are
// nobody's attributes.
func plain(es []*mapping.Expression) []string {
	var out []string
	for _, e := range es {
		if e == nil {
			continue
		}
		switch name := trimRoot(e.Field); name {
		case "language", "group", "groups", "manufacturer", "":
		case "passwd", "secure_key", "reset_password_token", "last_passwd_gen", "reset_password_validity":
		default:
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
