//go:build !linux

package main

import "time"

var started = time.Now()

// elapsed returns the time since the start of the process. On some systems it does not include the
// sleep of the machine; the store then treats a sleep as a step of the wall clock.
func elapsed() time.Duration { return time.Since(started) }
