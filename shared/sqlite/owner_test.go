package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"orders/shared/order"
)

// F23, I3, I5: a second owner is refused, whatever name the file has for each of them. The log and the
// lock file lie beside the file to which a link leads.
func TestAFileHasOneOwnerWhateverItsName(t *testing.T) {
	same := func(_ *testing.T, path string) string { return path }
	for name, as := range map[string]struct {
		isNew         bool
		first, second func(t *testing.T, path string) string
	}{
		"the same name":                     {true, same, same},
		"a link":                            {true, same, symlink},
		"a hard link":                       {true, same, hardLink},
		"its name, after the lock had gone": {true, same, withoutLock},
		"a link, while it is made":          {true, symlink, same},
		"a link, once it is there":          {false, symlink, same},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			if !as.isNew {
				overwrite(t, path, nil)
			}
			first := as.first(t, path)
			store := openStore(t, first, time.Hour)
			for _, other := range []string{first, as.second(t, path)} {
				if err := tryOpen(t, other); !errors.Is(err, ErrInUse) {
					t.Errorf("%s: error %v, not %v", other, err, ErrInUse)
				}
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
