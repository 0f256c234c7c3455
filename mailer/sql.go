package mailer

import (
	"context"
	"fmt"
	"strings"

	"github.com/relance/relance/internal/store"
)

// selectIn is SelectContext with slices expanded for IN (?).
func selectIn(ctx context.Context, q store.Queryer, dest any, query string, args ...any) error {
	text, flat, err := store.In(query, args...)
	if err != nil {
		return err
	}
	return q.SelectContext(ctx, dest, text, flat...)
}

// execIn is ExecContext with slices expanded for IN (?); it gives the number of rows matched.
func execIn(ctx context.Context, tx *store.Tx, query string, args ...any) (int64, error) {
	text, flat, err := store.In(query, args...)
	if err != nil {
		return 0, err
	}
	return store.Matched(tx.ExecContext(ctx, text, flat...))
}

// again makes a duplicate key repeat the whole transaction: another process, or the same id drawn twice, was first.
func again(tx *store.Tx, err error) error {
	if err != nil && tx.Dialect().Duplicate(err) {
		return fmt.Errorf("%w: %w", store.ErrAgain, err)
	}
	return err
}

// cases builds "CASE id WHEN ? THEN ? … ELSE col END" for rows that each get their own value.
type cases struct {
	sets []string
	args []any
}

func (c *cases) same(col string, value any) {
	c.sets = append(c.sets, col+"=?")
	c.args = append(c.args, value)
}

func (c *cases) each(col string, ids []int64, value func(i int) any) {
	c.sets = append(c.sets, col+"=CASE id"+strings.Repeat(" WHEN ? THEN ?", len(ids))+" ELSE "+col+" END")
	for i, id := range ids {
		c.args = append(c.args, id, value(i))
	}
}

func (c *cases) add(col string, by int64) {
	c.sets = append(c.sets, col+"="+col+"+?")
	c.args = append(c.args, by)
}

// caseChunks are the row counts of CASE updates: short, since their cost grows with the square of the rows, and few, so
// that each is prepared once.
func caseChunks() []int { return []int{32, 8, 1} }

// inChunks calls fn with caseChunks of the rows.
func inChunks[T any](all []T, fn func([]T) error) error {
	for _, n := range caseChunks() {
		for ; len(all) >= n; all = all[n:] {
			if err := fn(all[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}

// execPrepared is execIn through a statement that is kept.
func execPrepared(ctx context.Context, tx *store.Tx, query string, args ...any) (int64, error) {
	text, flat, err := store.In(query, args...)
	if err != nil {
		return 0, err
	}
	stmt, err := tx.Prepared(ctx, text)
	if err != nil {
		return 0, err
	}
	return store.Matched(stmt.ExecContext(ctx, flat...))
}

// clip makes a text fit a column of n characters: a strict server would otherwise refuse the whole batch for one.
func clip(s string, n int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == n {
			return s[:i]
		}
		count++
	}
	return s
}

func selectOneIn(ctx context.Context, q store.Queryer, dest any, query string, args ...any) error {
	text, flat, err := store.In(query, args...)
	if err != nil {
		return err
	}
	return q.GetContext(ctx, dest, text, flat...)
}
