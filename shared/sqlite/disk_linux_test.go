package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"orders/shared/order"
)

// breakFile makes every write to an open file fail until mend is called: its descriptors are
// replaced by one that is open for reading only.
func breakFile(t *testing.T, path string) (mend func()) {
	t.Helper()
	return breakFileFor(t, path, os.O_RDONLY)
}

// breakFileFor makes everything fail on an open file except what flag permits, os.O_RDONLY or
// os.O_WRONLY.
func breakFileFor(t *testing.T, path string, flag int) (mend func()) {
	t.Helper()
	other, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var mends []func()
	for _, fd := range descriptors(t, path) {
		kept, err := syscall.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		replace := func(with int) {
			if err := syscall.Dup3(with, fd, syscall.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
		}
		replace(int(other.Fd()))
		mends = append(mends, func() { replace(kept); _ = syscall.Close(kept) })
	}
	return func() {
		for _, m := range mends {
			m()
		}
	}
}

// descriptors returns the descriptors of the file in this process.
func descriptors(t *testing.T, path string) (fds []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		var fd int
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if _, scanErr := fmt.Sscan(e.Name(), &fd); err == nil && scanErr == nil && target == path {
			fds = append(fds, fd)
		}
	}
	if len(fds) == 0 {
		t.Fatalf("%s is not open", path)
	}
	return fds
}

func TestAnIOErrorAtACommitStopsTheStore(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour)
	acknowledged, _, err := store.Create(t.Context(), completed)
	if err != nil {
		t.Fatal(err)
	}

	mend := breakFile(t, path+"-wal")
	if _, _, err := store.Create(t.Context(), completed); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: error %v, not %v", err, order.ErrUnavailable)
	}
	<-store.Done()
	if _, _, err := store.Create(t.Context(), completed); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create, after the end: error %v, not %v", err, order.ErrUnavailable)
	}
	if err := store.Ping(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Ping: error %v, not %v", err, order.ErrUnavailable)
	}
	mend()
	if err := store.Close(); err == nil || !strings.Contains(err.Error(), "during a commit") {
		t.Errorf("Close: error %v, which does not say that the disk failed during a commit", err)
	}

	again := openStore(t, path, time.Hour)
	defer closeStore(t, again)
	if o, err := again.Get(t.Context(), acknowledged.ID); err != nil || o.ID != acknowledged.ID {
		t.Errorf("after opening again: %+v, error %v", o, err)
	}
}

// F23, I1: if the file cannot be read, orders are unavailable, not unknown. They are all there when
// the disk works again.
func TestAReadThatFailsIsUnavailable(t *testing.T) {
	path := newPath(t)
	first := openStore(t, path, time.Hour)
	var ids []order.ID
	for range 200 {
		o, _, err := first.Create(t.Context(), completed)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, o.ID)
	}
	closeStore(t, first)
	store := openStore(t, path, time.Hour)

	mend := breakFileFor(t, path, os.O_WRONLY)
	failed := 0
	for _, id := range ids {
		if o, err := store.Get(t.Context(), id); err != nil {
			failed++
			if !errors.Is(err, order.ErrUnavailable) || errors.Is(err, order.ErrNotFound) {
				t.Fatalf("Get: %+v, error %v, not %v", o, err, order.ErrUnavailable)
			}
		}
	}
	if failed == 0 {
		t.Error("all orders can be read: nothing is proved")
	}
	mend()
	_ = store.Close() // which tells why it has stopped, if SQLite took the failure for damage
	again := openStore(t, path, time.Hour)
	defer closeStore(t, again)
	for _, id := range ids {
		if o, err := again.Get(t.Context(), id); err != nil || o.ID != id {
			t.Errorf("Get, with a disk that is well: %+v, error %v", o, err)
		}
	}
}
