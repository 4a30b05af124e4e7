//go:build unix

package sqlite

import (
	"runtime"
	"syscall"
)

// quietly runs do with the lowest priority, and leaves the processor to whoever else wants it. On
// Linux that is so for do alone, elsewhere for the process from then on.
func quietly(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Priority is a thread's. This one is not unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 19) // without it, do is only louder
		do()
	}()
	<-done
}
