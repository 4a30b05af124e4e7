package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// F23, I3, I5: a second owner is refused, whatever name it uses.
func TestAFileHasOneOwnerWhateverItsName(t *testing.T) {
	for name, second := range map[string]func(t *testing.T, path string) string{
		"the same name":                     func(_ *testing.T, path string) string { return path },
		"a link":                            symlink,
		"a hard link":                       hardLink,
		"its name, after the lock had gone": withoutLock,
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			store := openStore(t, path, time.Hour)
			other := second(t, path)
			if err := tryOpen(t, other); !errors.Is(err, ErrInUse) {
				t.Errorf("error %v, not %v", err, ErrInUse)
			}
			_ = store.Close() // it may have stopped
		})
	}
}

func hardLink(t *testing.T, path string) string {
	t.Helper()
	link := filepath.Join(filepath.Dir(path), "other.db")
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// F23, I5: two services use a link to a file that does not exist yet.
func TestALinkToNothingHasOneOwner(t *testing.T) {
	link := symlink(t, newPath(t))
	store := openStore(t, link, time.Hour)
	defer closeStore(t, store)
	if err := tryOpen(t, link); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v, not %v", err, ErrInUse)
	}
}

// F23: SQLite would not find a log beside another name of the file.
func TestAFileWithASecondNameIsRefused(t *testing.T) {
	path := fileToCheck(t)
	link := hardLink(t, path)
	if err := tryOpen(t, path); err == nil || !strings.Contains(err.Error(), "more than one name") {
		t.Errorf("error %v", err)
	}
	remove(t, link)
	if err := tryOpen(t, path); err != nil {
		t.Errorf("with one name again: %v", err)
	}
}

// Orders are personal data: only the service's user can read its files.
func TestOnlyTheirUserCanReadTheFiles(t *testing.T) {
	path := newPath(t)
	store := openStore(t, path, time.Hour)
	defer closeStore(t, store)
	makeOrder(t, store, order.Draft{})
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		if info, err := os.Stat(path + suffix); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s%s: %v, error %v", path, suffix, info, err)
		}
	}
}

// A lock file that the superuser's check creates would keep another user's service from starting.
func TestCheckMakesNoLock(t *testing.T) {
	path := fileToCheck(t)
	remove(t, path+".lock")
	if _, err := Check(t.Context(), path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file is there: %v", err)
	}
}

// F23, I5: the log and the lock file lie beside the file to which a link leads, so processes that
// use the link and the name exclude each other.
func TestALinkIsServedAsTheFileThatItLeadsTo(t *testing.T) {
	path, link := newPath(t), filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	closeStore(t, openStore(t, link, time.Hour)) // which makes the file
	for _, way := range []struct{ served, checked string }{{link, path}, {path, link}} {
		store := openStore(t, way.served, time.Hour)
		if _, err := Check(t.Context(), way.checked); !errors.Is(err, ErrInUse) {
			t.Errorf("served by %s, checked by %s: error %v, not %v", way.served, way.checked, err, ErrInUse)
		}
		closeStore(t, store)
	}
}
