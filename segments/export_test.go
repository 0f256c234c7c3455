package segments

// SmallPages makes the maintainer take n contacts at a time.
func SmallPages(m *Maintainer, n int) { m.page = n }

// Between has fn called whenever the marks of a batch have been read, but not its facts, and again before it is written.
func Between(m *Maintainer, fn func()) { m.between = fn }
