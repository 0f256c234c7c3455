package ruletest

import (
	"archive/zip"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// ZoneNames are those of the tz database that Go brings along.
func ZoneNames(t *testing.T) []string {
	t.Helper()
	r, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip")) //nolint:staticcheck // tests run where they are built
	if err != nil {
		t.Fatal("no tz database to list:", err)
	}
	defer func() { _ = r.Close() }()
	var names []string
	for _, f := range r.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	return names
}

// ClockChanges are the instants between two years at which clocks of a zone were or will be put.
func ClockChanges(zone *time.Location, from, to int) []time.Time {
	var out []time.Time
	for at := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); ; {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Year() >= to {
			return out
		}
		at = end.In(zone)
		out = append(out, at)
	}
}
