//go:build !linux

package sqlite

import "time"

var started = time.Now()

// Elapsed is the time since the process was started. It may not count the machine's sleep, which
// then is a step of the wall clock like any other.
func Elapsed() time.Duration { return time.Since(started) }
