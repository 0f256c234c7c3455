package main

import (
	"strings"
	"testing"
)

func TestImportingCouponCodes(t *testing.T) {
	t.Parallel()
	r := newRig(t).withShop()
	codes, run := r.file("codes.txt", "A-1\nA-2\na-1\n"), r.run
	if code, out, errs := run("coupon", "import", "summer", codes, "--worth", "10 %", "--dry-run"); code != 0 ||
		!strings.Contains(out, "2 codes would be imported") || !strings.Contains(errs, "line 3: the code stands in line 1 already") {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if code, out, _ := run("coupon", "list"); code != 0 || !strings.Contains(out, "no codes yet") {
		t.Errorf("a dry run imported something: %d %s", code, out)
	}
	for _, want := range []string{"2 codes imported, 0", "0 codes imported, 2"} {
		if code, out, errs := run("coupon", "import", "summer", codes, "--worth", "10 %"); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%d %s %s, want %s", code, out, errs, want)
		}
	}
	if code, out, _ := run("coupon", "list", "--json"); code != 0 || !strings.Contains(strings.Join(strings.Fields(out), ""), `"list":"summer","worth":"10%","free":2,"asked":0,"given":0,"used":0,"low":true`) {
		t.Errorf("%d %s", code, out)
	}
	codes = r.file("codes.txt", "B-1\nno code\n")
	if code, _, errs := run("coupon", "import", "summer", codes); code != 1 || !strings.Contains(errs, "line 2") || !strings.Contains(errs, "nothing was imported") {
		t.Errorf("%d %s", code, errs)
	}
	if code, _, errs := run("coupon", "import", "Summer List", codes); code != 2 || !strings.Contains(errs, "no name of a list") {
		t.Errorf("%d %s", code, errs)
	}
}
