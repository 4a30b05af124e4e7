package sqlite

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
)

// sideFiles are the suffixes of the files that SQLite may have beside a database.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// ErrFindings says that a copy has findings, so that it did not replace its destination. The report
// has the findings.
var ErrFindings = errors.New("does not fit together, see the findings")

// Backup writes a copy of the database at path to dest. The copy has all orders that were committed
// before Backup began, and possibly later ones. A service may use the database meanwhile. now is
// the wall clock.
//
// The copy is one file. It is checked as by Check before it replaces dest. Until then dest does not
// change, also if the process is killed. If the copy has findings, Backup returns ErrFindings and
// the report.
func Backup(ctx context.Context, path, dest string, now func() time.Time) (Report, error) {
	file, served, err := checkSource(path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, explain(err))
	}
	o, isNew, err := lockDestination(path, dest)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", dest, explain(err))
	}
	report, err := backup(ctx, file, served, destination{o.file, isNew}, now, true)
	return report, errors.Join(err, o.release())
}

// backup makes the copy. The caller owns the destination. Only a repair does not check its copy.
func backup(ctx context.Context, file string, served bool, dest destination, now func() time.Time, check bool) (report Report, err error) {
	c, err := newPartialCopy(dest, now)
	if err != nil {
		return report, fmt.Errorf("%s: %w", dest.file, err)
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	if check {
		report, err = c.fillChecked(ctx, file, served)
	} else {
		err = c.fill(ctx, file, served)
	}
	if err != nil {
		return report, err
	}
	return report, c.commit()
}

// checkSource returns the file to which path leads, and whether a service uses it. It returns
// ErrForeignLog if the log was written for another file; a service has checked that at its start.
func checkSource(path string) (file string, served bool, err error) {
	o, err := acquireReadLock(path)
	if errors.Is(err, ErrInUse) {
		file, err = resolve(path)
		return file, true, err
	}
	if err != nil {
		return "", false, err
	}
	return o.file, false, errors.Join(o.checkLog(), o.release())
}

// lockDestination makes this process the owner of the destination of a backup, so that meanwhile no
// service uses it and no other backup has the same destination. isNew is whether there is no file
// yet. It refuses a destination that a backup must not replace.
func lockDestination(path, dest string) (o *owner, isNew bool, err error) {
	file, err := resolve(dest)
	if isNew = errors.Is(err, fs.ErrNotExist); isNew {
		file, err = dest, checkNoLink(dest)
	}
	if err = cmp.Or(checkName(dest), err, checkName(file)); err == nil {
		err = checkDestination(path, file, isNew)
	}
	if err != nil {
		return nil, false, err
	}
	o = newOwner(file)
	if isNew {
		err = o.lockExistingLockFile()
	} else {
		err = o.lockToRead()
	}
	if err != nil {
		return nil, false, errors.Join(err, o.release())
	}
	return o, isNew, nil
}

// checkNoLink returns an error if dest, which leads to no file, is a link.
func checkNoLink(dest string) error {
	if _, err := os.Lstat(dest); err == nil {
		return errors.New("is a link to a file that is not there: if that is on another disk, see whether the disk is mounted")
	}
	return nil
}

// checkName refuses the names of files that belong to a database.
func checkName(file string) error {
	for _, suffix := range append([]string{lockSuffix}, sideFiles...) {
		if strings.HasSuffix(file, suffix) {
			return fmt.Errorf("is no name for a backup: a file that ends in %s belongs to a database", suffix)
		}
	}
	return nil
}

// checkDestination refuses to replace a file that is not a backup. A database that was served has a
// lock file beside it; a backup has nothing beside it.
func checkDestination(path, file string, isNew bool) error {
	beside := sideFiles
	if !isNew {
		beside = append([]string{lockSuffix}, sideFiles...)
	}
	switch {
	case isSameFile(path, file):
		return errors.New("is the database itself")
	case !isNew && !isReplaceable(file):
		return errors.New("is there, and is no backup of orders: name another file, or remove it")
	}
	for _, suffix := range beside {
		if _, err := os.Lstat(file + suffix); err == nil {
			return fmt.Errorf("is a database that was served and not a backup, for %s lies beside it: "+
				"name another file, or remove all of its files if nobody needs its orders", file+suffix)
		}
	}
	return nil
}

// isReplaceable reports whether a file is a database of orders, or empty.
func isReplaceable(file string) bool {
	head, size, err := readHead(file, headerSize)
	return err == nil && (size == 0 ||
		len(head) == headerSize && binary.BigEndian.Uint32(head[applicationOffset:]) == applicationID)
}

func isSameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// Restore replaces the database at path by a copy of the database src: a backup, or a database that
// is not served. All other orders are lost. The file at path may be damaged or missing. now is the
// wall clock.
//
// It returns ErrInUse if another process owns one of the files, and ErrFindings with the report if
// src has findings. After an error, path is unchanged. If the process is killed, the file at path
// is the old one with all its orders, or the new one.
func Restore(ctx context.Context, src, path string, now func() time.Time) (report Report, err error) {
	o, err := lockTarget(ctx, path)
	if err != nil {
		return report, fmt.Errorf("%s: %w", path, explain(err))
	}
	defer func() { err = errors.Join(err, o.removeEmpty(err != nil), o.release()) }()
	from, err := lockSource(src, o.file)
	if err != nil {
		return report, aboutBackup(src, fmt.Errorf("%s: %w", src, explain(err)))
	}
	defer func() { err = errors.Join(err, from.release()) }()

	c, err := newPartialCopy(destination{file: o.file}, now)
	if err != nil {
		return report, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	if report, err = c.fillChecked(ctx, from.file, false); err != nil {
		return report, aboutBackup(src, err)
	}
	for _, step := range o.replaceSteps(c) {
		if err := step(); err != nil {
			return report, fmt.Errorf("%s: %w", path, explain(err))
		}
	}
	return report, nil
}

// errDamagedBackup replaces ErrDamaged, which advises to restore a backup.
var errDamagedBackup = errors.New("the backup is damaged, or is no backup of orders: restore another one; nothing was replaced")

func aboutBackup(src string, err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w", src, errDamagedBackup)
	}
	return err
}

// lockTarget makes this process the owner of the file at path, which it creates if there is none:
// only an existing file can be locked.
func lockTarget(ctx context.Context, path string) (*owner, error) {
	made := errors.Is(regularFile(path), fs.ErrNotExist)
	if err := makeFile(path); err != nil {
		return nil, err
	}
	if file, err := resolve(path); err == nil && made {
		if err := chownLike(file, filepath.Dir(file)); err != nil {
			return nil, err
		}
	}
	return acquireLock(ctx, path)
}

// removeEmpty removes the file that lockTarget has created, or an empty one that was there. A lock
// file without a generation belongs to it.
func (o *owner) removeEmpty(failed bool) (err error) {
	if !failed {
		return nil
	}
	for _, file := range []string{o.file, o.lockPath} {
		info, missing := os.Stat(file)
		if missing != nil || info.Size() > 0 {
			break
		}
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func lockSource(src, file string) (*owner, error) {
	if isSameFile(src, file) {
		return nil, errors.New("is the database itself")
	}
	o, err := acquireReadLock(src)
	if err != nil {
		return nil, err
	}
	if err := o.checkLog(); err != nil {
		return nil, errors.Join(err, o.release())
	}
	return o, nil
}

// replaceSteps returns the steps that replace the old file by the copy. The process may be killed
// after any of them; the next Restore then begins again.
//
// First the log is written into the old file, so that no other file belongs to it when it is
// replaced. If that is not possible because the file is damaged, the log remains for a moment
// beside the new file. Open refuses such a log, and the next Restore removes it.
func (o *owner) replaceSteps(c *partialCopy) []func() error {
	remove := func(suffix string) func() error {
		return func() error {
			if err := os.Remove(o.file + suffix); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
	}
	return []func() error{
		o.mergeLog,
		remove("-journal"), // with which SQLite would change the new file
		c.commit,
		remove("-wal"),
		remove("-shm"),
		func() error { return syncFolder(o.file) },
	}
}

// mergeLog writes the log into the file, and removes the log. It does nothing if the file is
// damaged, or if the log was written for another file.
func (o *owner) mergeLog() error {
	err := o.checkLog()
	if err == nil {
		err = o.noteClosing()
	}
	if err == nil {
		err = checkpointAndClose(o.file)
	}
	switch {
	case errors.Is(err, ErrForeignLog), errors.Is(err, ErrDamaged), isDamage(sqlite.ErrCode(err)):
		return nil
	case err != nil:
		return err
	}
	if _, err := os.Stat(o.file + "-wal"); err == nil {
		return ErrInUse // by another program, so SQLite does not remove the log
	}
	return nil
}

// checkpointAndClose opens and closes the database as its only user: SQLite rolls back an
// unfinished change, writes the log into the file and removes it.
func checkpointAndClose(file string) (err error) {
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetBusyTimeout(busyTimeout)
	emptied, err := emptyLog(conn)
	if err == nil && !emptied {
		err = ErrInUse
	}
	return err
}

// emptyLog writes the log into the file, and reports whether nothing of the log is left.
func emptyLog(conn *sqlite.Conn) (emptied bool, err error) {
	busy, err := queryInt(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err == nil && busy == 0, err
}
