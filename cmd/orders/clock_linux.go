package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed is the time since the machine was started, its sleep included: CLOCK_BOOTTIME, see
// clock_gettime(2).
func elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has it since 2.6.39, and Go needs a later one
	}
	return time.Duration(t.Nano())
}
