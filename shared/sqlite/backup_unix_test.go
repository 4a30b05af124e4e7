//go:build unix

package sqlite

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A copy has the permissions of the file that it replaces.
func TestABackupAndARestoreKeepThePermissionsOfTheFileBefore(t *testing.T) {
	path, dest := fileToCheck(t), filepath.Join(t.TempDir(), "backup.db")
	copies := map[string]func() error{
		path: func() error { _, err := Restore(t.Context(), backedUp(t, path), path, time.Now); return err },
		dest: func() error { _, err := Backup(t.Context(), path, dest, time.Now); return err },
	}
	overwrite(t, dest, nil)
	for file, replace := range copies {
		if err := os.Chmod(file, 0o640); err != nil {
			t.Fatal(err)
		}
		root := os.Geteuid() == 0
		if root {
			if err := os.Chown(file, 1234, 2345); err != nil {
				t.Fatal(err)
			}
		}
		if err := replace(); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil || info.Mode() != 0o640 {
			t.Errorf("%s: mode %v (%v), not 0640", file, info.Mode(), err)
		}
		if of := info.Sys().(*syscall.Stat_t); root && (of.Uid != 1234 || of.Gid != 2345) {
			t.Errorf("%s is of user %d and group %d, not 1234 and 2345", file, of.Uid, of.Gid)
		}
	}
}
