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

// breakFile lets every write to an open file go to another one instead, such as
// /dev/full, until mend is called. SQLite notices nothing but what its writes return.
func breakFile(t *testing.T, path string, flag int, instead string) (mend func()) {
	t.Helper()
	other, err := os.OpenFile(instead, flag, 0)
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

// eventually waits until check returns nil.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func aDraft() order.Draft {
	d := order.Draft{Details: order.Details{UserID: "645", ItemIDs: []string{"890"}, TotalAmount: 165078}}
	d.Sign()
	return d
}

func TestAFullDiskStopsNobodyButTheWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	store := open(t, path, 10*time.Millisecond)
	before, _, err := store.Create(t.Context(), aDraft())
	if err != nil {
		t.Fatal(err)
	}

	mend := breakFile(t, path+"-wal", os.O_RDWR, "/dev/full")
	if _, _, err := store.Create(t.Context(), aDraft()); !errors.Is(err, order.ErrUnavailable) {
		t.Errorf("Create: error %v, not %v", err, order.ErrUnavailable)
	}
	if tally, err := store.Metrics(t.Context()); err != nil || tally.Total() != 1 {
		t.Errorf("metrics %+v, error %v", tally, err)
	}
	select {
	case <-store.Done():
		t.Error("the store has given up")
	default:
	}
	mend()

	if _, _, err := store.Create(t.Context(), aDraft()); err != nil {
		t.Errorf("Create, with space again: %v", err)
	}
	eventually(t, func() error {
		tally, err := store.Metrics(t.Context())
		if err == nil && tally.ByStatus[order.Completed] != 2 {
			err = fmt.Errorf("metrics %+v", tally)
		}
		return err
	})
	if o, err := store.Get(t.Context(), before.ID); err != nil || o.Status != order.Completed {
		t.Errorf("order %+v, error %v", o, err)
	}
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

	mend := breakFile(t, path+"-wal", os.O_RDONLY, os.DevNull)
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
