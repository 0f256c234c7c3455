package main

import (
	"os"
	"testing"

	"github.com/relance/relance/internal/store/storetest"
	"github.com/relance/relance/mailer"
)

var servers storetest.Servers //nolint:gochecknoglobals // one server per test binary

func TestMain(m *testing.M) { os.Exit(storetest.Main(m, &servers)) }

// sendID is how a send is called at the provider.
func sendID(id int64) string { return mailer.SendID(id) }
