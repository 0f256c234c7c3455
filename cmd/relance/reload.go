package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/relance/relance/config"
	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/web"
)

// needsRestart refuses changes that a running process cannot follow.
func needsRestart(have, want *config.Config) error {
	var what []string
	for _, k := range []struct {
		key       string
		different bool
	}{
		{"database", have.Database != want.Database},
		{"listen.public", have.Listen.Public != want.Listen.Public},
		{"listen.admin", have.Listen.Admin != want.Listen.Admin},
		{"log", have.Log != want.Log},
	} {
		if k.different {
			what = append(what, k.key)
		}
	}
	if len(what) == 0 {
		return nil
	}
	return &fault.Error{
		Class: fault.Operator, Op: "reading the files again", Err: errors.New(strings.Join(what, " and ") + " cannot change while Relance runs"),
		Hint: "Restart relance to change it; nothing else of the new files is in force until then",
	}
}

// sayRefused logs why the files were refused: every mistake with its place.
func sayRefused(log *zap.Logger, err error) {
	const text = "the files were read again and refused; what was in force goes on"
	ms, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		log.Error(text, zap.String("mistake", sentence(err)))
		return
	}
	for _, m := range ms {
		log.Error(text, zap.String("at", placeOf(m)), zap.String("mistake", m.Message), zap.String("want", m.Want))
	}
}

// placeOf is file:line:column.
func placeOf(m config.Mistake) string {
	if m.Line == 0 {
		return m.File
	}
	return fmt.Sprintf("%s:%d:%d", m.File, m.Line, m.Column)
}

// filesState is what became of the last reload, for the page.
type filesState struct {
	mu    sync.Mutex
	state web.Files
}

func newFilesState(now time.Time) *filesState { return &filesState{state: web.Files{LoadedAt: now}} }

func (f *filesState) loaded(now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state = web.Files{LoadedAt: now}
}

func (f *filesState) refused(now time.Time, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state.RefusedAt, f.state.Mistakes = now, nil
	ms, ok := errors.AsType[config.Mistakes](err)
	if !ok {
		f.state.Mistakes = []string{sentence(err)}
		return
	}
	for _, m := range ms {
		text := placeOf(m) + ": " + m.Message
		if m.Want != "" {
			text += " – " + m.Want
		}
		f.state.Mistakes = append(f.state.Mistakes, text)
	}
}

func (f *filesState) now() web.Files {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

// reloadMetrics count reloads.
type reloadMetrics struct {
	total *prometheus.CounterVec
	ok    prometheus.Gauge
}

func newReloadMetrics(reg prometheus.Registerer) *reloadMetrics {
	m := &reloadMetrics{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "relance_config_reloads_total", Help: "Times that the files were read again at a signal, by result (loaded, refused).",
		}, []string{"result"}),
		ok: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "relance_config_in_force", Help: "1 while the files as last read are in force; 0 while they were refused and older ones go on.",
		}),
	}
	reg.MustRegister(m.total, m.ok)
	m.total.WithLabelValues("loaded")
	m.total.WithLabelValues("refused")
	m.ok.Set(1)
	return m
}

func (m *reloadMetrics) loaded() {
	m.total.WithLabelValues("loaded").Inc()
	m.ok.Set(1)
}

func (m *reloadMetrics) refused() {
	m.total.WithLabelValues("refused").Inc()
	m.ok.Set(0)
}
