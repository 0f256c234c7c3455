package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/relance/relance/internal/fault"
)

// lockDatabase makes this process the only one that works on a SQLite file, until unlock or its death. path is
// store.DB.Path(); "" (MySQL, where leases share the work) locks nothing. The error is fault.Operator.
func lockDatabase(path string) (unlock func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, &fault.Error{Class: fault.Operator, Op: "locking the database", Err: err, Hint: "Give this user the right to write beside the database file"}
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another relance is at work on this file")
		}
		return nil, errors.Join(&fault.Error{
			Class: fault.Operator, Op: "locking the database", Err: err,
			Hint: "Stop the other one first: SQLite serves one working process; MySQL serves several",
		}, f.Close())
	}
	return func() {
		if err := f.Close(); err != nil { // closing lets the lock go
			fmt.Fprintln(os.Stderr, "unlocking the database:", err)
		}
	}, nil
}
