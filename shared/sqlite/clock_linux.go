package sqlite

import (
	"time"

	"golang.org/x/sys/unix"
)

// Elapsed is the time since the machine was started, its sleep included: CLOCK_BOOTTIME, see
// clock_gettime(2).
func Elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(started) // a kernel older than 2.6.39
	}
	return time.Duration(t.Nano())
}

var started = time.Now()
