//go:build unix

package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// noFollow makes opening a link fail, and opening a pipe not wait for its other end.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func linkCount(info fs.FileInfo) uint64 {
	return uint64(info.Sys().(*syscall.Stat_t).Nlink) //nolint:unconvert // its type differs between systems
}

// chownLike gives a file that root has created the owner and the group of another file, so that the
// owner's service can open it.
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
		return nil // root may lack this right in a container, and the user does not need the group
	}
	return err
}

func sameGroup(a, b fs.FileInfo) bool {
	return a.Sys().(*syscall.Stat_t).Gid == b.Sys().(*syscall.Stat_t).Gid
}
