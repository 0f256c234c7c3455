package imported_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"github.com/relance/relance/sync/imported"
)

var business = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant

func read(t *testing.T, text string, change func(*imported.Options)) (*imported.List, error) {
	t.Helper()
	o := imported.Options{File: "contacts.csv", Now: business}
	if change != nil {
		change(&o)
	}
	return imported.Read(strings.NewReader(text), o)
}

func windows1252(s string) string {
	var b []byte
	for _, r := range s {
		b = append(b, byte(r)) // enough for Latin letters
	}
	return string(b)
}

func utf16le(s string) string {
	b := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}

func TestListsOfAllProgramsAreRead(t *testing.T) {
	t.Parallel()
	const french = "Adresse e-mail;Prénom;Nom;Date de naissance;Pays;Téléphone\nana@example.com;Ana;Étienne;28/02/1990;Belgique;0470\n\n;;;;;\nbo@example.com;\"Bo; dit \"\"B\"\"\";;;be;\n"
	for name, c := range map[string]struct {
		text, encoding, delimiter string
	}{
		"French, UTF-8":              {french, imported.UTF8, ";"},
		"with a byte order mark":     {"\ufeff" + french, imported.UTF8, ";"},
		"as Excel says it":           {"sep=;\r\n" + strings.ReplaceAll(french, "\n", "\r\n"), imported.UTF8, ";"},
		"Windows":                    {windows1252(french), imported.Windows1252, ";"},
		"Excel's Unicode text":       {utf16le(strings.ReplaceAll(strings.ReplaceAll(french, "Bo; dit", "Bo dit"), ";", "\t")), imported.UTF16, "\t"},
		"commas":                     {strings.ReplaceAll(strings.ReplaceAll(french, "Bo; dit", "Bo dit"), ";", ","), imported.UTF8, ","},
		"empty cells at the end":     {strings.ReplaceAll(french, "\nana@example.com;Ana;Étienne;28/02/1990;Belgique;0470", "\nana@example.com;Ana;Étienne;28/02/1990;Belgique;0470;;"), imported.UTF8, ";"},
		"rows that are cut short":    {strings.ReplaceAll(french, ";;;be;", ";;;be"), imported.UTF8, ";"},
		"header in capital letters":  {strings.Replace(french, "Adresse e-mail;Prénom", "E-MAIL;PRÉNOM", 1), imported.UTF8, ";"},
		"no line end after the last": {strings.TrimSuffix(french, "\n"), imported.UTF8, ";"},
	} {
		l, err := read(t, c.text, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if l.Encoding != c.encoding || l.Delimiter != c.delimiter || l.Rows != 2 || l.People != 2 || l.ErrorCount != 0 {
			t.Errorf("%s: %+v", name, l.Report)
		}
		if len(l.Columns) != 6 || len(l.Unused) != 0 {
			t.Errorf("%s: %v, unused %v", name, l.Columns, l.Unused)
		}
	}
}

func TestColumnsAreGuessedAndMapped(t *testing.T) {
	t.Parallel()
	const text = "Contact,E-mail,Taille,Member rating,OPTIN_TIME,MC Notes\nana@example.com,old@example.com,M,3,2026-01-02 10:00:00,x\n"
	l, err := read(t, text, func(o *imported.Options) {
		o.Map = map[string]string{"email": "Contact", "attributes.size": "taille", "consent_date": ""}
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"email": "Contact", "attributes.size": "Taille"}, l.Columns); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"E-mail", "Member rating", "OPTIN_TIME", "MC Notes"}, l.Unused); diff != "" {
		t.Error(diff)
	}
	for says, mapped := range map[string]map[string]string{
		`has no column "Kontakt"`: {"email": "Kontakt"}, `no field "mail"`: {"mail": "Contact"}, "--map email=COLUMN": {"email": ""}, "no field": {"attributes.": "Taille"},
	} {
		if _, err := read(t, text, func(o *imported.Options) { o.Map = mapped }); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v, want %s", mapped, err, says)
		}
	}
}

func TestListsThatAreNoneAreRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"empty":           {"", "empty"},
		"Excel":           {"PK\x03\x04rest", "CSV UTF-8"},
		"binary":          {"e-mail\n\x00\x01", "no text"},
		"without header":  {"ana@example.com,Ana\nbo@example.com,Bo\n", "not the names of the columns"},
		"without e-mails": {"Nom,Prénom\nx,y\n", "--map email=COLUMN"},
		"old Macintosh":   {"email\rana@example.com\r", "Macintosh"},
		"open dates":      {"email,birthday\na@example.com,03/04/1990\n", "--dates dmy or --dates mdy"},
		"both orders":     {"email,birthday\na@example.com,30/04/1990\nb@example.com,04/30/1990\n", "line 2"},
	} {
		if _, err := read(t, c.text, nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %s", name, err, c.says)
		}
	}
}

func TestMistakesAreToldByLineAndRepeatNoData(t *testing.T) {
	t.Parallel()
	const text = `E-mail;Prénom;Pays;Newsletter;Date consentement;IP;Anniversaire
ana@example.com;Ana;FR;oui;2026-01-02;203.0.113.9;1990-02-28
not-an-address;Bo;FR;non;;;
;Di;FR;non;;;
eve@example.com;Eve;Atlantis;non;;;
fay@example.com;Fay;France;peut-être;;;
gus@example.com;Gus;Suisse;oui;;;
hal@example.com;Hal;FR;oui;2027-01-02;;
ida@example.com;"Ida
et Jo";FR;non;;;31/31/1990
kim@example.com;Kim;FR;oui;2026-01-02;not-an-ip;
lea@example.com;a;b;c;d;e;f;g;h
max@example.com;a "quote";FR;non;;;
`
	l, err := read(t, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"3 E-mail", "4 E-mail", "5 Pays", "6 Newsletter", "7 Date consentement", "8 Date consentement", "9 Anniversaire", "11 IP", "12 ", "13 ",
	}
	var got []string
	for _, e := range l.Errors {
		got = append(got, fmt.Sprintf("%d %s", e.Line, e.Column))
		for _, secret := range []string{"not-an-address", "Atlantis", "peut", "not-an-ip", "example.com"} {
			if strings.Contains(e.Message, secret) {
				t.Errorf("line %d repeats data: %s", e.Line, e.Message)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || l.ErrorCount != len(want) {
		t.Errorf("%d mistakes (-want +got):\n%s", l.ErrorCount, diff)
	}
	l, err = read(t, "email,consent,consent date\nana@example.com,yes,2027-01-02\n", nil)
	if err != nil || l.ErrorCount != 1 || !strings.Contains(l.Errors[0].Message, "future") {
		t.Errorf("a consent of tomorrow: %+v, %v", l, err)
	}
	l, err = read(t, "email\n"+strings.Repeat("nobody\n", 250), nil)
	if err != nil || l.ErrorCount != 250 || len(l.Errors) != 100 {
		t.Errorf("%d of %d mistakes are told, %v", len(l.Errors), l.ErrorCount, err)
	}
}

func TestCountriesAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"France": "FR", "fr": "FR", "BELGIQUE": "BE", "Suisse": "CH", "Deutschland": "", "Allemagne": "DE", "Germany": "DE", "Royaume-Uni": "GB", "UK": "GB", "United States": "US",
		"États-Unis": "US", "Pays-Bas": "NL", "Côte d’Ivoire": "CI", "Cote d'Ivoire": "CI", "Russie": "RU", "Luxembourg": "LU", "FX": "", "Monaco": "MC", "Canada": "CA",
	} {
		l, err := read(t, "email,country\nana@example.com,"+name+"\n", nil)
		if err != nil || (l.ErrorCount == 0) != (want != "") {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
		if got := imported.CountryOf(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
