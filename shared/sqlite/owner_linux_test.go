package sqlite

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Anything else in the place of the lock file is neither overwritten nor waited for.
func TestALockFileThatIsNotAFileIsRefusedAndNotChanged(t *testing.T) {
	now := epoch
	victim := filepath.Join(t.TempDir(), "victim")
	for name, put := range map[string]func(lock string) error{
		"a link":            func(lock string) error { return os.Symlink(victim, lock) },
		"a link to nothing": func(lock string) error { return os.Symlink(victim+"-to-be", lock) },
		"a pipe":            func(lock string) error { return syscall.Mkfifo(lock, 0o600) },
		"a folder":          func(lock string) error { return os.Mkdir(lock, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			s, _ := openByHand(t, path, &now)
			release(t, s)
			remove(t, path+lockSuffix)
			overwrite(t, victim, []byte("precious"))
			if err := put(path + lockSuffix); err != nil {
				t.Fatal(err)
			}
			_, opened := Open(t.Context(), byHand(path, &now))
			_, checked := Check(t.Context(), path)
			for _, err := range []error{opened, checked} {
				if err == nil || !strings.Contains(err.Error(), "is a link or no file") {
					t.Errorf("error %v", err)
				}
			}
			if content, err := os.ReadFile(victim); err != nil || string(content) != "precious" {
				t.Errorf("%q is left of another file, error %v", content, err)
			}
			if _, err := os.Stat(victim + "-to-be"); err == nil {
				t.Error("another file was made")
			}
		})
	}
}

// The lock file is replaced by a link while the service runs.
func TestALockFileThatBecomesALinkIsNotWrittenOver(t *testing.T) {
	link := newPath(t)
	victim := link + "-victim"
	overwrite(t, victim, []byte("precious"))
	if err := os.Symlink(victim, link+lockSuffix); err != nil {
		t.Fatal(err)
	}
	o := &owner{file: link, lockPath: link + lockSuffix}
	written := o.writeLockFile("", os.O_TRUNC)
	if content, err := os.ReadFile(victim); written == nil || err != nil || string(content) != "precious" {
		t.Errorf("error %v; %q is left of another file, error %v", written, content, err)
	}
}
