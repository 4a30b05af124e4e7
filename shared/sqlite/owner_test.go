package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
	"orders/shared/sqlite"
)

// tryOpen opens a store that is expected to be refused.
func tryOpen(t *testing.T, path string) error {
	t.Helper()
	store, err := sqlite.Open(t.Context(), storeConfig(path, time.Hour))
	if err == nil {
		closeStore(t, store)
	}
	return err
}

// F23, I3, I5: a second owner is refused by whatever name it comes.
func TestAFileHasOneOwnerWhateverItsName(t *testing.T) {
	for name, second := range map[string]func(t *testing.T, path string) string{
		"the same name":                     func(_ *testing.T, path string) string { return path },
		"a link":                            symlink,
		"a hard link":                       hardLink,
		"its name, after the lock had gone": withoutLock,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "orders.db")
			store := openStore(t, path, time.Hour)
			other := second(t, path)
			if err := tryOpen(t, other); !errors.Is(err, sqlite.ErrInUse) {
				t.Errorf("error %v, not %v", err, sqlite.ErrInUse)
			}
			_ = store.Close() // it may have stopped
		})
	}
}

func symlink(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func hardLink(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(filepath.Dir(path), "other.db")
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

func withoutLock(t *testing.T, path string) string {
	t.Helper()
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	return path
}

// F23, I5: two services that come by a link to a file which is not made yet.
func TestALinkToNothingHasOneOwner(t *testing.T) {
	link := symlink(t, filepath.Join(t.TempDir(), "orders.db"))
	store := openStore(t, link, time.Hour)
	defer closeStore(t, store)
	if err := tryOpen(t, link); !errors.Is(err, sqlite.ErrInUse) {
		t.Errorf("error %v, not %v", err, sqlite.ErrInUse)
	}
}

// F23: SQLite would look for the log beside one name, where another has left it.
func TestAFileWithASecondNameIsRefused(t *testing.T) {
	path := fileToCheck(t)
	link := hardLink(t, path)
	if err := tryOpen(t, path); err == nil || !strings.Contains(err.Error(), "more than one name") {
		t.Errorf("error %v", err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := tryOpen(t, path); err != nil {
		t.Errorf("with one name again: %v", err)
	}
}

// Orders are personal data: what the service makes is for its own user's eyes alone.
func TestFilesAreForTheirUserAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	store := openStore(t, path, time.Hour)
	defer closeStore(t, store)
	makeOrder(t, store, order.Draft{})
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s%s: %v, error %v", path, suffix, info, err)
		}
	}
}

// A lock file that the superuser's check left would keep another user's service from
// starting.
func TestCheckMakesNoLock(t *testing.T) {
	path := fileToCheck(t)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Check(t.Context(), path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file is there: %v", err)
	}
}

func TestOpenTellsAllThatIsWrongWithItsConfiguration(t *testing.T) {
	_, err := sqlite.Open(t.Context(), sqlite.Config{})
	for _, field := range []string{"Path", "ProcessingTime", "Now", "Random", "Log"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, without %s", err, field)
		}
	}
}
