package sqlite

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

// Anything else in the place of the lock file is neither overwritten nor waited for, also if a link
// comes there while the service runs.
func TestALockFileThatIsNotAFileIsRefusedAndNotChanged(t *testing.T) {
	for name, put := range map[string]func(victim, lock string) error{
		"a link":            os.Symlink,
		"a link to nothing": func(victim, lock string) error { return os.Symlink(victim+"-to-be", lock) },
		"a pipe":            func(_, lock string) error { return syscall.Mkfifo(lock, 0o600) },
		"a folder":          func(_, lock string) error { return os.Mkdir(lock, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path, victim := withoutLock(t, makeOrders(t, 0)), newPath(t)
			overwrite(t, victim, []byte("precious"))
			if err := put(victim, path+lockSuffix); err != nil {
				t.Fatal(err)
			}
			for _, command := range []string{"open", "check"} {
				if err := commands[command](t.Context(), path, ""); err == nil || !strings.Contains(err.Error(), "is a link or no file") {
					t.Errorf("%s: error %v", command, err)
				}
			}
			if name == "a link" && newOwner(path).writeLockFile("", os.O_TRUNC) == nil {
				t.Error("another file was written to")
			}
			if string(read(t, victim)) != "precious" || names(t, victim) != "orders.db" {
				t.Errorf("%q is left of another file, in a folder with %s", read(t, victim), names(t, victim))
			}
		})
	}
}
