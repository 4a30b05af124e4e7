package sqlite_test

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// breakFile makes every write to an open file fail, until mend is called: its
// descriptors stand for one that is open for reading only.
func breakFile(t *testing.T, path string) (mend func()) {
	t.Helper()
	return breakFileFor(t, path, os.O_RDONLY)
}

// breakFileFor makes all fail that is done to an open file but what the flag is for,
// os.O_RDONLY or os.O_WRONLY.
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

// descriptors are the numbers under which this process has the file open.
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

// aDraft is of an order that needs no work in the background, which would come
// between the steps of a test.
func aDraft() order.Draft {
	d := order.Draft{InitialStatus: order.Completed, Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 165078}}
	d.SetFingerprint()
	return d
}

func TestAnIOErrorAtACommitStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	cfg := sqlite.Config{
		Path: path, ProcessingTime: time.Hour, Now: time.Now,
		Random: bufio.NewReader(rand.Reader), Log: slog.New(slog.DiscardHandler),
	}
	store, err := sqlite.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged, _, err := store.Create(t.Context(), aDraft())
	if err != nil {
		t.Fatal(err)
	}

	mend := breakFile(t, path+"-wal")
	if _, _, err := store.Create(t.Context(), aDraft()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: error %v, not %v", err, order.ErrUnavailable)
	}
	<-store.Done()
	if _, _, err := store.Create(t.Context(), aDraft()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create, after the end: error %v, not %v", err, order.ErrUnavailable)
	}
	if err := store.Ping(t.Context()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Ping: error %v, not %v", err, order.ErrUnavailable)
	}
	mend()
	if err := store.Close(); err == nil {
		t.Error("Close does not say that the disk failed")
	}

	again := open(t, path, time.Hour)
	if o, err := again.Get(t.Context(), acknowledged.ID); err != nil || o.ID != acknowledged.ID {
		t.Errorf("after opening again: %+v, error %v", o, err)
	}
}
