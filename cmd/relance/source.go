package main

import (
	"github.com/relance/relance/config"
	"github.com/relance/relance/connectors"
	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/woocommerce"
)

// openSource makes the connector of a shop; nil for one of the platform push, which nothing is asked of. It asks nothing
// of the shop yet.
func openSource(cfg *config.Config, name string, o appOptions) (connectors.Source, error) {
	return sourceOf(cfg.Shops[name], hookURL(cfg, name), o)
}

func sourceOf(shop config.Shop, hooks string, o appOptions) (connectors.Source, error) {
	switch shop.Platform {
	case config.PrestaShop:
		c := shop.PrestaShop
		c.Every, c.Clock = o.every, o.now
		return prestashop.New(c, o.transport)
	case config.Magento:
		c := shop.Magento
		c.Every, c.Clock = o.every, o.now
		return magento.New(c, o.transport)
	case config.WooCommerce:
		c := shop.WooCommerce
		c.Every, c.Clock, c.HookURL = o.every, o.now, hooks
		source, err := woocommerce.New(c, o.transport)
		if err != nil { // no nil pointer in an interface
			return nil, err
		}
		return source, nil
	}
	return nil, nil
}

// hookURL is where a shop sends its webhooks; "" when nothing outside can reach this process.
func hookURL(cfg *config.Config, shop string) string {
	if cfg.PublicURL == "" {
		return ""
	}
	return cfg.PublicURL + "/hooks/" + shop
}
