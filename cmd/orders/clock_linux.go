package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed returns the time since the start of the machine, including its sleep: CLOCK_BOOTTIME in
// clock_gettime(2).
func elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic(err) // Linux has this clock since 2.6.39, and Go needs a later version
	}
	return time.Duration(t.Nano())
}
