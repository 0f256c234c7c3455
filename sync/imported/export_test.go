package imported

// CountryOf is the code of a country as lists name it.
func CountryOf(name string) string { return countryOf(name) }
