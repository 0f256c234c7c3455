package engine

import "time"

// SetPatience makes the watchdog quicker than anybody would wait in a test.
func (e *Engine) SetPatience(d time.Duration) { e.patience = d }
