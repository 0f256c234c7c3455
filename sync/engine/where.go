package engine

// Where says, for people, how far the run has come that a stored position (mirror.Stream.Cursor) is about: whether one is
// under way, how many records it has seen, and how many it will see as the shop said (-1 when it did not).
func Where(stored []byte) (running bool, done, total int) {
	p := decode(stored)
	return p.Running, p.Done, p.Total
}
