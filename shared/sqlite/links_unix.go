//go:build unix

package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// onlyFile makes the opening of a link fail, and that of a pipe not wait for somebody at its other end.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// links is how many names a file has.
func linkCount(info fs.FileInfo) uint64 {
	return uint64(info.Sys().(*syscall.Stat_t).Nlink) //nolint:unconvert // its type differs between systems
}

// giveTo gives a file that root has made to the user and the group whose the other one is, so that it
// does not stand in that user's way.
func chownLike(path, like string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(like)
	if err != nil {
		return err
	}
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	from, to := now.Sys().(*syscall.Stat_t), info.Sys().(*syscall.Stat_t)
	if from.Uid == to.Uid && from.Gid == to.Gid {
		return nil
	}
	err = os.Lchown(path, int(to.Uid), int(to.Gid))
	if from.Uid == to.Uid && errors.Is(err, fs.ErrPermission) {
		return nil // a superuser without that right: the user can do without the group
	}
	return err
}

// sameGroup reports whether both files belong to one group.
func sameGroup(a, b fs.FileInfo) bool {
	return a.Sys().(*syscall.Stat_t).Gid == b.Sys().(*syscall.Stat_t).Gid
}
