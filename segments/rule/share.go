package rule

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/relance/relance/internal/crm"
)

// Share is a part of all contacts drawn by lot, the same for ever: from From (default 0) up to From + Percent of the
// hundred that the key deals out. Two shares of one key that do not overlap have nobody in common; shares of different keys are
// drawn independently.
type Share struct {
	Percent Number `yaml:"percent"`
	From    Number `yaml:"from,omitempty"`
	Key     string `yaml:"key"`
}

// Number is a number without a unit as written: 20, 12.5.
type Number string

// UnmarshalYAML takes a number.
func (x *Number) UnmarshalYAML(node ast.Node) error {
	text, err := scalar(node, "a number such as 20 or 12.5")
	*x = Number(text)
	return err
}

// lots is how many equal parts a key deals contacts into: a percentage has two decimals at most.
const lots = 100 * 100

type share struct {
	key      string
	from, to int64 // lots, half-open
}

func (c *compiler) share(path string, w Share) condition {
	s := share{key: w.Key}
	if strings.TrimSpace(w.Key) == "" {
		c.fail(path+".key", "the share has no key", "a word such as spring: the same key draws the same lots")
	}
	percent := c.hundredths(path+".percent", w.Percent)
	if w.From != "" {
		s.from = c.hundredths(path+".from", w.From)
	}
	s.to = s.from + percent
	switch {
	case w.Percent == "" || percent == 0 && w.Percent != "":
		c.fail(path+".percent", "the share has nobody in it", "a percentage above 0, such as 20")
	case s.to > lots:
		c.fail(path+".percent", fmt.Sprintf("the share goes beyond 100 percent: it begins at %d and takes %s", s.from*100/lots, w.Percent), "from and percent that make 100 at most")
	}
	return s
}

// hundredths reads a number of 0 to 1000 with two decimals at most.
func (c *compiler) hundredths(path string, n Number) int64 {
	if n == "" {
		return 0
	}
	r, ok := new(big.Rat).SetString(string(n))
	if ok && len(n) <= 12 {
		r.Mul(r, big.NewRat(100, 1))
		if r.IsInt() && r.Sign() >= 0 && r.Num().IsInt64() && r.Num().Int64() <= 100_000 {
			return r.Num().Int64()
		}
	}
	c.fail(path, fmt.Sprintf("%q is no number that can stand here", string(n)), "a number such as 20 or 1.5, with two decimals at most")
	return 0
}

func (s share) lot(p *crm.Profile) int64 {
	sum := sha256.Sum256([]byte(s.key + "\x00" + strconv.FormatInt(p.Contact.ID, 10)))
	return int64(binary.BigEndian.Uint64(sum[:8]) % lots)
}

func (s share) match(p *crm.Profile, _ crm.Instant) bool {
	lot := s.lot(p)
	return s.from <= lot && lot < s.to
}

func (s share) next(*crm.Profile, crm.Instant) crm.Instant { return crm.Never }
func (s share) needs() crm.Needs                           { return crm.Needs{} }

func (s share) explain(p *crm.Profile, t crm.Instant) Explanation {
	return leaf(fmt.Sprintf("share of key %s from %s %% to below %s %%", s.key, percent(s.from), percent(s.to)), s.match(p, t), "drew "+percent(s.lot(p))+" %", crm.Never, reason{})
}

func percent(lots int64) string {
	return strings.TrimSuffix(strings.TrimSuffix(fmt.Sprintf("%d.%02d", lots/100, lots%100), "0"), ".0")
}
