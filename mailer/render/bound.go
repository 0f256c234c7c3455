package render

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/relance/relance/mailer"
)

var (
	errTime = errors.New("it takes too long")
	errSize = errors.New("the result is too big")
)

// run fills in v within the limits. A template cannot be interrupted from outside: when the time is up its goroutine
// is left to end at its next write.
func (l limits) run(v *variant, d mailer.Data) (mailer.Rendered, error) {
	type result struct {
		r   mailer.Rendered
		err error
	}
	w := &sink{max: l.size}
	done := make(chan result, 1)
	go func() {
		var out result
		defer func() {
			if p := recover(); p != nil {
				out = result{err: errors.New("a function panicked")} // the panic's text may hold data
			}
			done <- out
		}()
		out.r, out.err = v.fill(d, w)
	}()
	timer := time.NewTimer(l.time)
	defer timer.Stop()
	select {
	case out := <-done:
		return out.r, out.err
	case <-timer.C:
		w.stop.Store(true)
		return mailer.Rendered{}, fmt.Errorf("%w (%s at most)", errTime, l.time)
	}
}

// sink is a buffer that refuses to grow beyond max and to go on after stop.
type sink struct {
	bytes.Buffer

	max  int
	stop atomic.Bool
}

func (w *sink) Write(p []byte) (int, error) {
	if w.stop.Load() {
		return 0, errTime
	}
	if w.Len()+len(p) > w.max {
		return 0, fmt.Errorf("%w (%d bytes at most)", errSize, w.max)
	}
	return w.Buffer.Write(p)
}

// WriteString is what io.WriteString prefers; without it the embedded buffer's would go past the limits.
func (w *sink) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// part runs one template into the empty buffer and keeps what it wrote.
func (w *sink) part(execute func() error, to *string) error {
	w.Reset()
	if err := execute(); err != nil {
		return err
	}
	*to = w.String()
	return nil
}
