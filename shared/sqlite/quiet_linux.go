package sqlite

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

// quietly runs do when nothing else wants the processor (SCHED_IDLE, see sched(7)): a thread of
// the lowest ordinary priority would keep a service's threads waiting for a time slice at each of
// their wake-ups.
func runIdle(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The policy is the thread's. It is not unlocked, so it ends with the goroutine.
		runtime.LockOSThread()
		const idle = 5
		priority := int32(0)
		// Where that is not allowed, do is only louder.
		_, _, _ = syscall.Syscall(syscall.SYS_SCHED_SETSCHEDULER, 0, idle, uintptr(unsafe.Pointer(&priority)))
		do()
	}()
	<-done
}

// writeOut has the disk write what was written to the file so far, and waits for it. Other than
// fsync it does not make the file last, nor the fsyncs of others wait for the file system's journal. What it
// leaves undone, because the file system knows no such thing, is left for the fsync at the end.
func flush(file *os.File) error {
	const waitBefore, write, waitAfter = 1, 2, 4
	_ = syscall.SyncFileRange(int(file.Fd()), 0, 0, waitBefore|write|waitAfter)
	return nil
}
