package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"orders/shared/order"
)

// breakFile makes everything fail on an open file except what flag permits, os.O_RDONLY or
// os.O_WRONLY, until mend is called: its descriptors are replaced.
func breakFile(t *testing.T, path string, flag int) (mend func()) {
	t.Helper()
	other, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	kept := map[int]int{} // descriptors of the file, by those that they replaced
	replace := func(fd, with int) {
		if err := syscall.Dup3(with, fd, syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	}
	links, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if target, _ := os.Readlink(link); target != path {
			continue
		}
		fd, _ := strconv.Atoi(filepath.Base(link))
		if kept[fd], err = syscall.Dup(fd); err != nil {
			t.Fatal(err)
		}
		replace(fd, int(other.Fd()))
	}
	if len(kept) == 0 {
		t.Fatalf("%s is not open", path)
	}
	return func() {
		for fd, with := range kept {
			replace(fd, with)
			_ = syscall.Close(with)
		}
	}
}

func TestAnIOErrorAtACommitStopsTheStore(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour)
	acknowledged, _, err := store.Create(t.Context(), completed)
	if err != nil {
		t.Fatal(err)
	}
	mend := breakFile(t, path+"-wal", os.O_RDONLY)
	refuses(t, store)
	<-store.Done()
	refuses(t, store)
	unavailable(t, "Ping", store.Ping(t.Context()))
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

	mend := breakFile(t, path, os.O_WRONLY)
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
