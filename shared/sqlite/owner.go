package sqlite

import (
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

// An owner is this process's right to a database file. Nobody else has it until the
// owner is released or the process ends.
//
// Two locks stand for it. The one on the file itself holds whatever the path: a hard link, or
// a file that is mounted into two containers, is the same file. It is Linux's alone: elsewhere
// it and the locks that SQLite takes on the same file get in each other's way. The lock
// on the file beside it, .lock, holds everywhere, for all who come by the same name.
type owner struct {
	file     string // the database file, links resolved: SQLite has its log beside it
	locks    []*flock.Flock
	lockPath string // the path of the lock beside the file

	// lostLog is whether whoever had the file before did not close it, and there is no log.
	lostLog bool
}

// lockSuffix is what the name of the lock beside the file adds to the file's.
const lockSuffix = ".lock"

// resolve returns the file that path leads to, links resolved. It returns fs.ErrNotExist
// when there is nothing, or what is wrong with it when it is no regular file.
func resolve(path string) (string, error) {
	if err := regularFile(path); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}

// regularFile returns an error unless path is that of a regular file:
// fs.ErrNotExist when there is nothing.
func regularFile(path string) error {
	info, err := os.Stat(path)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err // without the path, which the caller names
	}
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a file")
	}
	return err
}

// makeFile makes the file if there is none, for its owner's eyes alone. SQLite gives its
// companions the same permissions. The file has to be there before it can be locked, and
// a link to nothing leads to its own name until then.
func makeFile(path string) error {
	err := regularFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return errors.Join(err, file.Close())
}

// noLogAlone returns ErrForeignLog when a log with contents lies where there is no database.
func checkOrphanedLog(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if target, err := os.Readlink(path); err == nil {
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	if log, err := os.Stat(path + "-wal"); err == nil && log.Size() > 0 {
		return orphanedLogError(path)
	}
	return nil
}

// A command that only reads, such as orders backup, owns the file for a moment. A start waits
// that long for it, and tries that often.
const (
	lockTimeout = time.Second
	lockRetry   = 10 * time.Millisecond
)

// own makes this process the owner of a file that is there. It returns ErrInUse when another
// process is for longer than ownTimeout, and errLinked when the file has a second name.
func acquireLock(ctx context.Context, path string) (*owner, error) {
	limited, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	for {
		o, err := tryAcquireLock(path)
		if !errors.Is(err, ErrInUse) {
			return o, err
		}
		select {
		case <-limited.Done():
			return nil, firstError(ctx.Err(), err)
		case <-time.After(lockRetry):
		}
	}
}

func tryAcquireLock(path string) (*owner, error) {
	file, err := resolve(path)
	if err != nil {
		return nil, err
	}
	o := &owner{file: file, lockPath: file + lockSuffix}
	if err := o.lockBoth(); err != nil {
		return nil, errors.Join(err, o.release())
	}
	return o, nil
}

func (o *owner) lockBoth() error {
	if err := o.lockLockFile(os.O_CREATE | os.O_RDONLY); err != nil {
		return err
	}
	if err := o.lockFile(); err != nil {
		return err
	}
	if err := chownLike(o.lockPath, o.file); err != nil {
		return err
	}
	return checkOneName(o.file)
}

// inspect makes this process the owner for as long as it only reads: no lock file is made, which
// would stand in the way of the user whose service it is.
func acquireReadLock(path string) (*owner, error) {
	file, err := resolve(path)
	if err != nil {
		return nil, err
	}
	o := &owner{file: file, lockPath: file + lockSuffix}
	if err := o.lockToRead(); err != nil {
		return nil, errors.Join(err, o.release())
	}
	return o, nil
}

func (o *owner) lockToRead() error {
	if err := o.lockPathToRead(); err != nil {
		return err
	}
	return o.lockFile()
}

// lockBesideToRead takes the lock beside the file, if there is one that this user may take.
func (o *owner) lockPathToRead() error {
	err := o.lockLockFile(os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) || locksFiles && errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// lockBeside takes the lock on what is beside the file, unless that is no file: through a link,
// the lock file would be written over another one, and a pipe is never opened.
func (o *owner) lockLockFile(flag int) error {
	if info, err := os.Lstat(o.lockPath); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("cannot be locked: %s, which belongs to it, is a link or no file; move it away", o.lockPath)
	}
	return o.lock(o.lockPath, flag|noFollow)
}

// locksFiles is whether a lock on the file itself is possible.
const locksFiles = runtime.GOOS == "linux"

func (o *owner) lockFile() error {
	if !locksFiles {
		return nil
	}
	err := o.lock(o.file, os.O_RDONLY)
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
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

// release lets others have the file. SQLite's connections are to be closed before: to close
// any other descriptor of the file takes away the locks that SQLite has on it.
func (o *owner) release() (err error) {
	for _, lock := range o.locks {
		err = errors.Join(err, lock.Unlock())
	}
	o.locks = nil
	return err
}

var errLinked = errors.New("has more than one name (hard links), or none: SQLite keeps its log beside one of them " +
	"and would not find it by another; remove all names but one, or serve a copy")

// checkOneName returns errLinked when the file has a hard link.
func checkOneName(file string) error {
	info, err := os.Stat(file)
	if err == nil && linkCount(info) != 1 {
		err = errLinked
	}
	return err
}
