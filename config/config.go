// Package config reads the files that an agency writes (relance.yaml, shops/, segments/, campaigns/, templates/) into
// one typed Config. Every mistake is reported with file, line, column and what would be right, all of them at once.
package config

import (
	"net/netip"
	"time"

	"github.com/relance/relance/connectors/magento"
	"github.com/relance/relance/connectors/mapping"
	"github.com/relance/relance/connectors/prestashop"
	"github.com/relance/relance/connectors/push"
	"github.com/relance/relance/connectors/woocommerce"
	"github.com/relance/relance/mailer"
	"github.com/relance/relance/mailer/render"
	"github.com/relance/relance/mailer/sendgrid"
	"github.com/relance/relance/mailer/smtp"
	"github.com/relance/relance/segments/rule"
)

const mainFile = "relance.yaml"

// Config is a whole configuration, checked. Paths are absolute, secrets and ${VAR} are filled in.
type Config struct {
	Dir            string         // absolute
	Database       string         // as store.Options.DSN wants it; a SQLite path is absolute
	PublicURL      string         // https, no slash at the end; "" = poll-only
	TrustedProxies []netip.Prefix // whose X-Forwarded-For is believed
	Listen         Listen
	Log            Log
	Retention      Retention
	Keys           Keys
	Audiences      map[string]Audience // by name; never empty
	Shops          map[string]Shop     // by name
	Segments       rule.File
	Campaigns      mailer.CampaignFile
	Templates      *render.Set // templates/ over the built-in ones
}

// Listen says where the two listeners bind.
type Listen struct {
	Public string `yaml:"public" jsonschema:"example=127.0.0.1:8480,description=host:port of the public listener (webhooks and unsubscribe pages)"`
	Admin  string `yaml:"admin" jsonschema:"example=127.0.0.1:8484,description=host:port of the page and the metrics for yourselves; loopback only"`
}

// Log says how Relance writes its log.
type Log struct {
	Format string `yaml:"format" jsonschema:"enum=json,enum=console,description=json for machines or console for people"`
	Level  string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error"`
}

// Retention says how long things are kept that grow without end.
type Retention struct {
	Events time.Duration // what providers said of mails, as they said it
}

// Keys says where the keys are that sign links in mails. They never expire: whoever loses them breaks the unsubscribe
// links of every mail sent.
type Keys struct {
	File string `yaml:"file" jsonschema:"description=file with the signing keys; made by itself when the database is SQLite"`
}

// Audience is one data controller and who its mails come from.
type Audience struct {
	Title         string          `yaml:"title" jsonschema:"description=for people to read"`
	From          string          `yaml:"from" jsonschema:"description=address that mails come from,example=bonjour@boutique.example"`
	FromName      string          `yaml:"from_name"`
	ReplyTo       string          `yaml:"reply_to" jsonschema:"description=where answers go; the from address when absent"`
	PostalAddress string          `yaml:"postal_address" jsonschema:"description=shown below every marketing mail; the law asks for it"`
	Provider      string          `yaml:"provider" jsonschema:"enum=sendgrid,enum=smtp,enum=outbox,description=sendgrid and smtp send; outbox keeps mails in a folder and sends nothing"`
	SendGrid      sendgrid.Config `yaml:"sendgrid"`
	SMTP          smtp.Config     `yaml:"smtp"`
	Outbox        Outbox          `yaml:"outbox"`
	// Topics are the kinds of marketing mails that contacts may choose among: id → title on the page of choices.
	Topics map[string]string `yaml:"topics" jsonschema:"description=kinds of marketing mails that people may choose among: id to title; campaigns name one with topic"`
	Cap    string            `yaml:"cap" jsonschema:"description=how many marketing mails one person gets at most,example=2 per 7d"`
	// Attribution bounds what mails are credited with.
	Attribution mailer.AttributionSpec `yaml:"attribution" jsonschema:"description=how long after a mail an order counts as brought by it"`
}

// Outbox is where mails are kept that nobody is to receive.
type Outbox struct {
	Dir string `yaml:"dir" jsonschema:"description=folder for the mails; outbox/<audience> when absent"`
}

// Shop is one shop: a file of shops/, whose name is the shop's name.
type Shop struct {
	Audience    string             `yaml:"audience" jsonschema:"description=key of an audience in relance.yaml; default when absent"`
	Platform    string             `yaml:"platform" jsonschema:"enum=woocommerce,enum=prestashop,enum=magento,enum=push"`
	Title       string             `yaml:"title" jsonschema:"description=name of the shop as customers know it"`
	Locale      string             `yaml:"locale" jsonschema:"description=of customers whose own is not known,example=fr"`
	Zone        string             `yaml:"zone" jsonschema:"description=IANA time zone; the shop's own setting when absent,example=Europe/Paris"`
	Basis       string             `yaml:"basis" jsonschema:"enum=opt_in,enum=soft_opt_in,enum=double_opt_in,description=whether customers who bought may be written to without having ticked a box; or whether a ticked box is to be confirmed through a mail"`
	Mapping     mapping.Mapping    `yaml:"mapping" jsonschema:"description=Which of the platform's own fields hold brand and birthday and locale and consent and attributes"`
	WooCommerce woocommerce.Config `yaml:"woocommerce"`
	PrestaShop  prestashop.Config  `yaml:"prestashop"`
	Magento     magento.Config     `yaml:"magento"`
	Push        push.Config        `yaml:"push" jsonschema:"description=Lets a plugin or a till or another system send records to this shop"`
}

// mainYAML is relance.yaml.
type mainYAML struct {
	Database       string              `yaml:"database" jsonschema:"description=sqlite:FILE or mysql:user:password@tcp(host:3306)/name,default=sqlite:relance.db"`
	PublicURL      string              `yaml:"public_url" jsonschema:"description=https address under which the public listener is reached; without it no marketing mail is really sent"`
	TrustedProxies []string            `yaml:"trusted_proxies" jsonschema:"description=addresses or networks of your own reverse proxies"`
	Listen         Listen              `yaml:"listen"`
	Log            Log                 `yaml:"log"`
	Keys           Keys                `yaml:"keys"`
	Retention      retentionYAML       `yaml:"retention"`
	Audiences      map[string]Audience `yaml:"audiences" jsonschema:"description=who writes; one per data controller"`
}

// retentionYAML is how Retention is written.
type retentionYAML struct {
	Events string `yaml:"events" jsonschema:"description=how long what providers say of mails is kept as they said it; what follows from it stays,default=30d,example=30d"`
}
