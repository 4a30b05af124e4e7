//go:build !linux

package main

import "time"

var started = time.Now()

// elapsed is the time since the process was started. It may not count the machine's sleep, which
// then is a step of the wall clock like any other.
func elapsed() time.Duration { return time.Since(started) }
