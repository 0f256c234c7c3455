package store

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// idSource makes ids of 41 bits of milliseconds since 2020 and 22 random bits, increasing within the process.
// Two processes may, once in millions, make the same id; the unique key then fails the transaction, which is
// repeated with new ids.
type idSource struct {
	mu   sync.Mutex
	last int64
}

const idEpoch = 1577836800000 // 2020-01-01T00:00:00Z

func (s *idSource) next(now time.Time) int64 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // crypto/rand.Read never fails: it crashes the program instead
	id := (now.UnixMilli()-idEpoch)<<22 | int64(binary.BigEndian.Uint32(b[:])>>10)
	s.mu.Lock()
	defer s.mu.Unlock()
	if id <= s.last {
		id = s.last + 1
	}
	s.last = id
	return id
}
