package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// An owner is this process's exclusive right to a database file. It lasts until release, or until
// the process ends.
//
// It has two locks. The lock on the database file itself holds for every path to it: a hard link,
// or a file that is mounted into two containers, is the same file. It exists on Linux only; on
// other systems it would conflict with SQLite's own locks on that file. The lock on the file beside
// it, .lock, holds on every system, for processes that use the same name.
type owner struct {
	file     string // the database file, with links resolved: SQLite keeps the log beside it
	lockPath string // the path of the lock file
	locks    []*flock.Flock

	// lostLog is whether the last owner did not close the file, and its log is missing.
	lostLog bool
}

// lockSuffix follows the name of the database file in the name of its lock file.
const lockSuffix = ".lock"

func newOwner(file string) *owner { return &owner{file: file, lockPath: file + lockSuffix} }

// resolve returns the file to which path leads, with links resolved. It returns fs.ErrNotExist if
// there is none, and an error if it is not a regular file.
func resolve(path string) (string, error) {
	if err := regularFile(path); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// regularFile returns an error unless there is a regular file at path: fs.ErrNotExist if there is
// nothing.
func regularFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a file")
	}
	return withoutPath(err)
}

// withoutPath removes the path from an error, because the caller adds it.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// makeFile creates the file if there is none, with access for its owner only. SQLite gives its own
// files the same permissions. The file must exist before it is locked, and before a link to it is
// resolved.
func makeFile(path string) error {
	err := regularFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return withoutPath(err)
	}
	return file.Close()
}

// A command that only reads, such as orders backup, owns the file for a moment. A start retries for
// that long, at this interval.
const (
	lockTimeout = time.Second
	lockRetry   = 10 * time.Millisecond
)

// acquireLock makes this process the owner of an existing file. It returns ErrInUse if another
// process owns the file for longer than lockTimeout, and errLinked if the file has a second name.
func acquireLock(ctx context.Context, path string) (*owner, error) {
	limited, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		o, err := tryLock(path, (*owner).lockToWrite)
		if !errors.Is(err, ErrInUse) {
			return o, err
		}
		select {
		case <-limited.Done():
			return nil, cmp.Or(ctx.Err(), err)
		case <-time.After(lockRetry):
		}
	}
}

// acquireReadLock makes this process the owner while it only reads. It creates no lock file,
// because one that the superuser creates would keep another user's service from starting.
func acquireReadLock(path string) (*owner, error) { return tryLock(path, (*owner).lockToRead) }

func tryLock(path string, lock func(*owner) error) (*owner, error) {
	file, err := resolve(path)
	if err != nil {
		return nil, err
	}
	o := newOwner(file)
	if err := lock(o); err != nil {
		return nil, errors.Join(err, o.release())
	}
	return o, nil
}

func (o *owner) lockToWrite() error {
	if err := o.lockLockFile(os.O_CREATE | os.O_RDONLY); err != nil {
		return err
	}
	if err := o.lockDatabase(); err != nil {
		return err
	}
	if err := chownLike(o.lockPath, o.file); err != nil {
		return err
	}
	return checkOneName(o.file)
}

func (o *owner) lockToRead() error {
	if err := o.lockExistingLockFile(); err != nil {
		return err
	}
	return o.lockDatabase()
}

// lockExistingLockFile locks the lock file, if it exists and this user may open it.
func (o *owner) lockExistingLockFile() error {
	err := o.lockLockFile(os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || locksFiles && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// lockLockFile locks the lock file. It refuses a link, through which another file would be
// overwritten, and does not open a pipe.
func (o *owner) lockLockFile(flag int) error {
	if info, err := os.Lstat(o.lockPath); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot be locked: %s, which belongs to it, is a link or no file; move it away", o.lockPath)
	}
	return o.lock(o.lockPath, flag|noFollow)
}

// locksFiles is whether the database file itself can be locked.
const locksFiles = runtime.GOOS == "linux"

func (o *owner) lockDatabase() error {
	if !locksFiles {
		return nil
	}
	return withoutPath(o.lock(o.file, os.O_RDONLY))
}

func (o *owner) lock(path string, flag int) error {
	lock := flock.New(path, flock.SetFlag(flag))
	locked, err := lock.TryLock()
	if err == nil && !locked {
		err = ErrInUse
	}
	if err == nil {
		o.locks = append(o.locks, lock)
	}
	return err
}

// release ends the ownership. SQLite's connections must be closed before: closing any other
// descriptor of the file removes the locks that SQLite has on it.
func (o *owner) release() (err error) {
	for _, lock := range o.locks {
		err = errors.Join(err, lock.Unlock())
	}
	o.locks = nil
	return err
}

var errLinked = errors.New("has more than one name (hard links), or none: SQLite keeps its log beside one of them " +
	"and would not find it by another; remove all names but one, or serve a copy")

func checkOneName(file string) error {
	info, err := os.Stat(file)
	if err == nil && linkCount(info) != 1 {
		err = errLinked
	}
	return err
}
