package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Restore puts a copy of the database src, which Backup has made or a service has left, in the
// place of the one at path: its orders are what src holds from then on, and all others
// are gone. The file at path may be damaged, or missing. Now is the clock.
//
// It returns ErrInUse when a process owns either, and ErrFindings, with the report, when src
// does not fit together; path is untouched then. When the process is killed, there is the
// old file with all of its orders, or the new one.
func Restore(ctx context.Context, src, path string, now func() time.Time) (report Report, err error) {
	lock := lockOf(path)
	if err := own(lock); err != nil {
		return report, fmt.Errorf("%s: %w", path, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	release, err := takeSource(src, path)
	if err != nil {
		return report, fmt.Errorf("%s: %w", src, err)
	}
	defer func() { err = errors.Join(err, release()) }()

	c, err := newPartialCopy(target(path), now)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	if report, err = c.fillChecked(ctx, src); err != nil {
		return report, err
	}
	for _, step := range c.replacing() {
		if err := step(); err != nil {
			return report, fmt.Errorf("%s: %w", path, explain(err))
		}
	}
	return report, nil
}

// takeSource sees to it that nobody writes to the file that is to be restored. Only a file that a
// service has had has a lock; a backup may lie where nothing can be written.
func takeSource(src, path string) (release func() error, err error) {
	if err := regularFile(src); err != nil {
		return nil, err
	}
	if isSameFile(src, path) {
		return nil, errors.New("is the database itself")
	}
	lock := lockOf(src)
	if _, err := os.Stat(lock.Path()); err != nil {
		return lock.Unlock, nil
	}
	return lock.Unlock, own(lock)
}

// replacing are the steps by which the copy takes the place of the old file. It is right to end
// behind any of them, and to begin anew.
//
// The old file first takes in what its log holds, so that nothing else belongs to it when
// it is replaced. A log that cannot be taken in, because the file is damaged, outlives it by
// a moment: Open refuses such a log beside the new file, and the next Restore removes it.
func (c *partialCopy) replacing() []func() error {
	remove := func(suffix string) func() error {
		return func() error {
			if err := os.Remove(c.dest + suffix); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
	}
	return []func() error{
		func() error { return foldLog(c.dest) },
		remove("-journal"), // SQLite would undo with it what is in the new file
		c.commit,
		remove("-wal"),
		remove("-shm"),
		func() error { return syncFolder(c.dest) },
	}
}

// foldLog brings what the log of a database holds into its file, and removes the log. It
// leaves alone what is damaged or missing.
func foldLog(path string) error {
	if err := regularFile(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	err := checkpointAndClose(path)
	if isDamage(sqlite.ErrCode(err)) {
		return nil
	}
	if _, statErr := os.Stat(path + "-wal"); err == nil && statErr == nil {
		return ErrInUse // by another program, which keeps SQLite from removing it
	}
	return err
}

// checkpointAndClose opens the database as its last user: SQLite undoes a change that was
// not finished, and takes in and removes the log.
func checkpointAndClose(path string) (err error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetBusyTimeout(busyTimeout)
	return sqlitex.ExecuteTransient(conn, "PRAGMA wal_checkpoint(TRUNCATE)", &sqlitex.ExecOptions{
		ResultFunc: func(row *sqlite.Stmt) error {
			if row.ColumnBool(0) {
				return ErrInUse
			}
			return nil
		},
	})
}
