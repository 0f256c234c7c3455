package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/relance/relance/internal/fault"
	"github.com/relance/relance/internal/store"
)

func TestAFileThatCannotBeADatabaseIsASentence(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database ", 300)), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		text:                              "restore a backup",
		filepath.Join(text, "relance.db"): "notes.txt is not a folder. Name a file in a folder",
		filepath.Join(dir, "missing", "relance.db"): "Create the folder first",
		dir: "Check that the path is a writable file",
	} {
		db, err := store.Open(t.Context(), store.Options{DSN: "sqlite:" + path})
		if err == nil {
			_ = db.Close()
			t.Errorf("%s was opened", path)
			continue
		}
		if fault.ClassOf(err) != fault.Operator || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
