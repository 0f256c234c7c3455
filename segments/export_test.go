package segments

// SmallPages makes the maintainer take n contacts at a time.
func SmallPages(m *Maintainer, n int) { m.page = n }
