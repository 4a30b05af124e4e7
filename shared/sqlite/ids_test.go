//go:build unix

package sqlite_test

import (
	"os"
	"syscall"
)

// ids are those of the user and the group whose a file is.
func ids(info os.FileInfo) (uid, gid uint32) {
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Gid
}
