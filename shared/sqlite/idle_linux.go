package sqlite

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// runIdle runs fn only while no other thread needs the processor (SCHED_IDLE, see sched(7)). A
// thread of the lowest normal priority would delay a service's threads by a time slice each time
// they wake up.
func runIdle(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The policy belongs to the thread, which stays locked and so ends with the goroutine.
		runtime.LockOSThread()
		const idle = 5
		priority := int32(0)
		// If that is not permitted, fn runs at normal priority.
		_, _, _ = syscall.Syscall(syscall.SYS_SCHED_SETSCHEDULER, 0, idle, uintptr(unsafe.Pointer(&priority)))
		fn()
	}()
	<-done
}

// flush makes the disk write the content of the file so far, and waits for it. Unlike fsync it does
// not make the file durable, and does not delay the fsyncs of other processes by the journal of the
// file system. If the file system does not support it, the fsync at the end does the work.
func flush(file *os.File) error {
	const waitBefore, write, waitAfter = 1, 2, 4
	_ = syscall.SyncFileRange(int(file.Fd()), 0, 0, waitBefore|write|waitAfter)
	return nil
}
