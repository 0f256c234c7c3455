package config

import (
	"reflect"
	"strings"
)

// Secrets lists every secret value of the configuration, for whoever writes a text that is to be shared.
func (c *Config) Secrets() []string {
	var out []string
	secretsIn(reflect.ValueOf(*c), "", &out)
	return append(out, secretOf(c.Database)...)
}

// secretOf is the password in the address of a database.
func secretOf(dsn string) []string {
	login, _, ok := strings.Cut(strings.TrimPrefix(dsn, "mysql:"), "@")
	if _, password, found := strings.Cut(login, ":"); ok && found && password != "" {
		return []string{password}
	}
	return nil
}

func secretsIn(v reflect.Value, key string, out *[]string) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
				secretsIn(v.Field(i), name, out)
			}
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			secretsIn(v.MapIndex(k), "", out)
		}
	case reflect.Slice:
		for i := range v.Len() {
			secretsIn(v.Index(i), key, out)
		}
	case reflect.String:
		if s := v.String(); s != "" && isSecret(key) && !isAddress(key) {
			*out = append(*out, s)
		}
	default: // numbers and flags are no secrets
	}
}
