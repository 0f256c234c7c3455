// Package metricstest checks a whole registry as the project promises it: names, help texts, closed labels. Only tests
// import it.
package metricstest

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// labels are all that a metric of ours may carry. Each is a closed set; shop, stream, segment and campaign are the
// names that the configuration gives.
func labels() []string {
	return []string{
		"shop", "stream", "kind", "segment", "campaign", "state", "outcome", "class", "cause", "reason", "result", "how",
		"audience", "surface", "code", "version", "go", "provider", "worker", "name", "le", "quantile",
	}
}

// Lint fails the test for every metric of ours that promlint complains of, that is not named relance_…, or that has
// a label outside the closed list. Metrics of the Go runtime and the process are left alone.
func Lint(tb testing.TB, g prometheus.Gatherer) {
	tb.Helper()
	families, err := g.Gather()
	if err != nil {
		tb.Fatalf("gathering metrics: %v", err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		tb.Fatalf("linting metrics: %v", err)
	}
	for _, p := range problems {
		if !theirs(p.Metric) {
			tb.Errorf("metric %s: %s", p.Metric, p.Text)
		}
	}
	for _, f := range families {
		if theirs(f.GetName()) {
			continue
		}
		if !strings.HasPrefix(f.GetName(), "relance_") {
			tb.Errorf("metric %s is not named relance_…", f.GetName())
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels(), l.GetName()) {
					tb.Errorf("metric %s has the label %s, which is not in the closed list", f.GetName(), l.GetName())
				}
				if strings.Contains(l.GetValue(), "@") {
					tb.Errorf("metric %s: the label %s holds something like an address", f.GetName(), l.GetName())
				}
			}
		}
	}
}

func theirs(name string) bool {
	return strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_")
}

// Documented fails the test for every metric of ours in the registry that the file (docs/operations.md) does not name.
func Documented(tb testing.TB, g prometheus.Gatherer, file string) {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatalf("reading the documentation of metrics: %v", err)
	}
	families, err := g.Gather()
	if err != nil {
		tb.Fatalf("gathering metrics: %v", err)
	}
	for _, f := range families {
		if name := f.GetName(); !theirs(name) && !strings.Contains(string(text), "`"+name+"`") {
			tb.Errorf("metric %s is not in %s", name, file)
		}
	}
}
