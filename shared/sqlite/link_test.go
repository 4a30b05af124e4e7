package sqlite_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"orders/shared/sqlite"
)

// F23, I5: the log and the lock lie beside the file that a link leads to, so who comes by
// the link and who comes by the name keep each other out.
func TestALinkIsServedAsTheFileThatItLeadsTo(t *testing.T) {
	path, link := filepath.Join(t.TempDir(), "orders.db"), filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	closeStore(t, openStore(t, link, time.Hour)) // which makes the file
	for _, way := range []struct{ served, checked string }{{link, path}, {path, link}} {
		store := openStore(t, way.served, time.Hour)
		if _, err := sqlite.Check(t.Context(), way.checked); !errors.Is(err, sqlite.ErrInUse) {
			t.Errorf("served by %s, checked by %s: error %v, not %v", way.served, way.checked, err, sqlite.ErrInUse)
		}
		closeStore(t, store)
	}
}
