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

// Restore puts a copy of the database src, which Backup has made or a service has left, in the
// place of the one at path: its orders are what src holds from then on, and all others
// are gone. The file at path may be damaged, or missing. Now is the clock.
//
// It returns ErrInUse when a process owns either, and ErrFindings, with the report, when src
// does not fit together; path is untouched then. When the process is killed, there is the
// old file with all of its orders, or the new one.
func Restore(ctx context.Context, src, path string, now func() time.Time) (report Report, err error) {
	o, err := lockPlace(ctx, path)
	if err != nil {
		return report, fmt.Errorf("%s: %w", path, explain(err))
	}
	defer func() { err = errors.Join(err, o.removeEmpty(err != nil), o.release()) }()
	from, err := lockSource(src, o.file)
	if err != nil {
		return report, aboutBackup(src, fmt.Errorf("%s: %w", src, explain(err)))
	}
	defer func() { err = errors.Join(err, from.release()) }()

	c, err := newPartialCopy(place{file: o.file}, now)
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

// errDamagedBackup is ErrDamaged for somebody who restores a backup already.
var errDamagedBackup = errors.New("the backup is damaged, or is no backup of orders: restore another one; nothing was replaced")

func aboutBackup(src string, err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%s: %w", src, errDamagedBackup)
	}
	return err
}

// ownPlace makes this process the owner of the file at path, which it makes if there is none:
// nothing else can be owned.
func lockPlace(ctx context.Context, path string) (*owner, error) {
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

// removeEmpty takes back what ownPlace has made, or an empty file that was there. A lock file
// without a generation belongs to no other.
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

// takeSource makes this process the owner of the file that is to be restored.
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

// replaceBy are the steps by which a copy takes the place of the old file. It is right to end
// behind any of them, and to begin anew.
//
// The old file first takes in what its log holds, so that nothing else belongs to it when
// it is replaced. A log that cannot be taken in, because the file is damaged, outlives it by
// a moment: Open refuses such a log beside the new file, and the next Restore removes it.
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
		remove("-journal"), // SQLite would undo with it what is in the new file
		c.commit,
		remove("-wal"),
		remove("-shm"),
		func() error { return syncFolder(o.file) },
	}
}

// foldLog brings what the log holds into the file, and removes the log. It leaves alone what is
// damaged, and a log that is not the file's own.
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
		return ErrInUse // by another program, which keeps SQLite from removing it
	}
	return nil
}

// checkpointAndClose opens the database as its last user: SQLite undoes a change that was
// not finished, and takes in and removes the log.
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
