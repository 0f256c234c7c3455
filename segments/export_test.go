package segments

// SmallPages makes the maintainer take n contacts at a time.
func SmallPages(m *Maintainer, n int) { m.page = n }

// Between has fn called whenever a batch has been read and is not written yet.
func Between(m *Maintainer, fn func()) { m.between = fn }
