// Package fault says of an error what happens next. Drivers classify, engines decide.
// It imports nothing of ours.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Class is the closed set of things that can happen after an error.
type Class string

const (
	Retry     Class = "retry"     // network, 5xx: the same work again, with back-off
	Throttled Class = "throttled" // 429: wait After; does not count as an attempt
	Operator  Class = "operator"  // wrong key or address, full disk: pause and tell a human what to do
	Reject    Class = "reject"    // this one record is malformed: quarantine it, carry on
	Unknown   Class = "unknown"   // a send may have happened: never repeat blindly
)

// Error is an error with a class. Op and Err name no secret, no address of a person, no URL query.
type Error struct {
	Class Class
	Op    string        // what was being done: "woocommerce: list orders"
	Hint  string        // what a person can do now; a whole sentence; empty when there is nothing to do
	After time.Duration // only for Throttled: how long to wait (real time)
	Err   error
}

// New makes a classed error; op reads "doing x".
func New(class Class, op string, err error) *Error {
	return &Error{Class: class, Op: op, Err: err}
}

// Error reads "doing x: cause. What to do."
func (e *Error) Error() string {
	s := e.Op
	if e.Err != nil {
		s = fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	if e.Hint != "" {
		s += ". " + e.Hint
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ClassOf is the class of the outermost classed error in the chain. An unclassified error is
// Retry: it must never drop data. (For a send the mailer reads unclassified as Unknown.)
func ClassOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Retry
}

// HintOf is the outermost non-empty hint in the chain, or "".
func HintOf(err error) string {
	for err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Problem is a mistake in a file that somebody wrote. The package that owns the YAML finds it; config maps Path
// to file, line and column.
type Problem struct {
	Path    string // YAML path within the file, as goccy/go-yaml writes it: $.win_back.match.all[1].bought
	Message string // what is wrong: "at_least is negative"
	Want    string // what would be right: "a number of orders, 1 or more"
}
