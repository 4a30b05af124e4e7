//go:build unix

package sqlite

import (
	"io/fs"
	"os"
	"syscall"
)

// onlyFile makes the opening of a link fail, and that of a pipe not wait for somebody at its other end.
const onlyFile = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// links is how many names a file has.
func links(info fs.FileInfo) uint64 {
	return uint64(info.Sys().(*syscall.Stat_t).Nlink) //nolint:unconvert // its type differs between systems
}

// giveTo gives a file that root has made to the user whose the other one is, so that it does not
// stand in that user's way.
func giveTo(path, like string) error {
	uid, err := userOf(path)
	if err != nil {
		return err
	}
	if owner, err := userOf(like); err != nil || owner == uid {
		return err
	} else if os.Geteuid() == 0 {
		return os.Lchown(path, owner, -1)
	}
	return nil
}

func userOf(path string) (uid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return int(info.Sys().(*syscall.Stat_t).Uid), nil
}
