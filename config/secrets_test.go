package config

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestEverySecretIsKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lay(t, "testdata/good", dir)
	shop := "audience: boutique\nplatform: magento\nmagento: {url: 'https://b.example', token: tok-1, consumer_key: con-key, consumer_secret: con-secret, token_secret: tok-secret}\n" +
		"push: {secrets: [push-secret-1-0123456789-0123456789, push-secret-2-0123456789-0123456789]}\n"
	if err := os.WriteFile(filepath.Join(dir, "shops/other.yaml"), []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(dir, env)
	if err != nil {
		t.Fatal(err)
	}
	c.Database = "mysql:relance:db-password@tcp(db:3306)/relance"
	found := c.Secrets()
	for _, s := range []string{
		"SG.abcdefghijkl.0123456789", "ck_00000000000000000001", "cs_00000000000000000002", "tok-1", "con-key", "con-secret", "tok-secret",
		"push-secret-1-0123456789-0123456789", "push-secret-2-0123456789-0123456789", "db-password",
	} {
		if !slices.Contains(found, s) {
			t.Errorf("%s is not known as a secret", s)
		}
	}
}
