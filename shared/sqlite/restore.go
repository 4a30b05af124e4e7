package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
)

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

// lockSource makes this process the owner of the file that is to be restored.
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
