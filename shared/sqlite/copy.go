package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// A partialCopy is a copy of a database that is being made beside its destination. Until commit,
// the destination is unchanged; afterwards it is the copy. A process that is killed leaves a
// partial file, which the next copy for the same destination removes.
type partialCopy struct {
	dest    destination
	path    string
	file    *os.File // for fsync; SQLite has its own descriptors
	lock    owner    // shows that the process is running
	now     func() time.Time
	version int // of the schema, after fill
}

// A destination is the file that a copy creates or replaces.
type destination struct {
	file  string
	isNew bool // whether the copy must not replace a file
}

// partialSuffix and a random number follow the name of the destination in the name of a partial
// file.
const partialSuffix = ".partial-"

func newPartialCopy(dest destination, now func() time.Time) (c *partialCopy, err error) {
	if err := removeLeftOver(dest.file); err != nil {
		return nil, err
	}
	c = &partialCopy{dest: dest, now: now}
	c.file, err = os.CreateTemp(filepath.Dir(dest.file), filepath.Base(dest.file)+partialSuffix+"*") // with mode 0600
	if err != nil {
		return nil, err
	}
	c.path = c.file.Name()
	c.lock.file = c.path
	like := dest.file
	if dest.isNew {
		like = filepath.Dir(dest.file)
	}
	// The copy must be readable for the user of the service, also if the superuser makes it.
	if err := errors.Join(c.lock.lockDatabase(), chownLike(c.path, like)); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}

// removeLeftOver removes the partial files for that destination whose process has ended.
func removeLeftOver(dest string) error {
	entries, err := os.ReadDir(filepath.Dir(dest))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), filepath.Base(dest)+partialSuffix)
		if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || !entry.Type().IsRegular() {
			continue // not a partial file
		}
		o := owner{file: filepath.Join(filepath.Dir(dest), entry.Name())}
		if err := o.lockDatabase(); err != nil {
			continue // its process is running, or files cannot be locked here
		}
		if err := errors.Join(removeWithSideFiles(o.file), o.release()); err != nil {
			return err
		}
	}
	return nil
}

// removeWithSideFiles removes a partial file after the files beside it, which are found by its
// name.
func removeWithSideFiles(file string) (err error) {
	for _, suffix := range append(slices.Clone(sideFiles), "") {
		if failed := os.Remove(file + suffix); !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// discard removes the partial file. After commit there is none, and it only closes.
func (c *partialCopy) discard() error {
	return errors.Join(c.file.Close(), c.lock.release(), removeWithSideFiles(c.path))
}

// commit replaces the destination by the copy, durably.
func (c *partialCopy) commit() error {
	if err := c.keepMode(); err != nil {
		return err
	}
	if err := c.file.Sync(); err != nil {
		return err
	}
	if err := c.rename(); err != nil {
		return err
	}
	return syncFolder(c.dest.file)
}

// keepMode gives the copy the permissions of the file that it replaces, but none to a group that is
// not the group of that file.
func (c *partialCopy) keepMode() error {
	if c.dest.isNew {
		return nil // the mode of a temporary file: 0600
	}
	before, err := os.Stat(c.dest.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := c.file.Stat()
	if err != nil {
		return err
	}
	mode := before.Mode().Perm()
	if !sameGroup(before, now) {
		mode &^= 0o070
	}
	return c.file.Chmod(mode)
}

// rename moves the copy to the destination. If the destination is new, a file that is there now
// belongs to another program, for example to a service that has started meanwhile.
func (c *partialCopy) rename() error {
	if !c.dest.isNew {
		return os.Rename(c.path, c.dest.file)
	}
	// Unlike a rename, a link replaces nothing.
	err := os.Link(c.path, c.dest.file)
	if err == nil {
		return os.Remove(c.path)
	}
	if _, missing := os.Lstat(c.dest.file); !errors.Is(missing, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", c.dest.file, errAppeared)
	}
	return os.Rename(c.path, c.dest.file) // on a disk without links
}

// errAppeared is returned for a file that did not exist when the copy began.
var errAppeared = errors.New("was made by another program while the copy was made, and is left as it is")

// syncFolder syncs the folder of the file, so that a rename is durable.
func syncFolder(file string) error {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// maxCopying bounds the pauses of a copy. It holds a snapshot, and meanwhile the log of a running
// service only grows.
const maxCopying = 2 * time.Minute

const (
	// pagesAtOnce is how many pages are copied and flushed between two pauses: 256 KB, which delay
	// no commit of the service for long.
	pagesAtOnce = 64
	// pauseFactor is the length of a pause relative to the work before it. With longer pauses the
	// log grows more, and the commit that writes it into the file after the copy takes longer.
	pauseFactor = 1
)

// fillChecked copies the database at path and checks the copy. It returns ErrFindings and the
// report if there are findings. If the database is served, it leaves the processor to the service.
func (c *partialCopy) fillChecked(ctx context.Context, path string, served bool) (report Report, err error) {
	if err := c.fill(ctx, path, served); err != nil {
		return report, err
	}
	if served {
		runIdle(func() { report, err = c.check(ctx) })
	} else {
		report, err = c.check(ctx)
	}
	if err != nil {
		return report, fmt.Errorf("the copy of %s: %w", path, explain(err))
	}
	if len(report.Findings) > 0 {
		return report, fmt.Errorf("the copy of %s %w; nothing was replaced", path, ErrFindings)
	}
	return report, nil
}

// fill copies the present state of the database at path, including its log.
func (c *partialCopy) fill(ctx context.Context, path string, served bool) error {
	err := c.copy(ctx, path, served)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*writeError](err); ok {
		path = c.dest.file
	}
	return fmt.Errorf("%s: %w", path, explain(err))
}

// A writeError is an error about the copy, not about the database that is copied.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// wrapWriteError makes an error a writeError. It returns nil for nil.
func wrapWriteError(err error) error {
	if err == nil {
		return nil
	}
	return &writeError{err}
}

// classifyStepError makes an error of copying pages a writeError if it is about the copy: the
// database is only read.
func classifyStepError(err error) error {
	switch code := sqlite.ErrCode(err); {
	case code.ToPrimary() == sqlite.ResultFull,
		code == sqlite.ResultIOErrWrite, code == sqlite.ResultIOErrFsync, code == sqlite.ResultIOErrTruncate:
		return wrapWriteError(err)
	}
	return err
}

// copy reads the database in one transaction. SQLite's online backup would otherwise start again
// whenever another process has committed. The connection may only read, so closing it neither
// checkpoints nor deletes the log.
func (c *partialCopy) copy(ctx context.Context, path string, served bool) (err error) {
	open := openToRead
	if served {
		open = openShared
	}
	from, err := open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	if err := sqlitex.ExecuteTransient(from, "BEGIN", nil); err != nil {
		return err
	}
	c.version, err = schemaVersion(from) // the first read takes the snapshot
	if err == nil && c.version == 0 {
		err = errEmpty
	}
	if err != nil {
		return err
	}
	return c.write(func(to *sqlite.Conn) error {
		copying, err := sqlite.NewBackup(to, "", from, "")
		if err != nil {
			return err
		}
		defer copying.Close() //nolint:errcheck // it always returns nil
		return c.copyPages(ctx, copying, served)
	})
}

// errEmpty is returned for a file that no service has used.
var errEmpty = errors.New("holds no orders and no schema yet: serve the file once")

// write calls fn with a connection to the partial file. The connection has no protection against a
// crash, because the copy is not used before it is complete and synced. The header of the copy has
// journal_mode DELETE, so it is one file without a log.
func (c *partialCopy) write(fn func(*sqlite.Conn) error) (err error) {
	to, err := sqlite.OpenConn(c.path, sqlite.OpenReadWrite)
	if err != nil {
		return wrapWriteError(err)
	}
	defer func() { err = errors.Join(err, wrapWriteError(to.Close())) }()
	for _, setting := range []string{"journal_mode = OFF", "synchronous = OFF"} {
		if err := pragma(to, setting); err != nil {
			return wrapWriteError(err)
		}
	}
	if err := fn(to); err != nil {
		return err
	}
	return wrapWriteError(pragma(to, "journal_mode = DELETE"))
}

// copyPages copies all pages. If the database is served, it pauses between steps, to leave
// processor and disk to the service, but not for longer than maxCopying in total.
func (c *partialCopy) copyPages(ctx context.Context, copying *sqlite.Backup, served bool) error {
	for began := c.now(); ; {
		stepBegan := c.now()
		more, err := copying.Step(pagesAtOnce)
		if err = cmp.Or(classifyStepError(err), ctx.Err()); err != nil || !more {
			return err
		}
		if !served {
			continue
		}
		// In small parts, because one fsync of the whole copy would delay those of the service.
		if err := flush(c.file); err != nil {
			return wrapWriteError(err)
		}
		ended := c.now()
		steps := copying.Remaining()/pagesAtOnce + 1
		left := (maxCopying-ended.Sub(began))/time.Duration(steps) - ended.Sub(stepBegan)
		if err := pause(ctx, min(pauseFactor*ended.Sub(stepBegan), left)); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *partialCopy) check(ctx context.Context) (report Report, err error) {
	if c.version == len(migrations) {
		return checkFile(ctx, c.path)
	}
	conn, err := sqlite.OpenConn(c.path, sqlite.OpenReadWrite)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	conn.SetInterrupt(ctx.Done())
	// A file of an older release is migrated for the check only, so that the copy stays readable
	// for that release.
	if err := sqlitex.ExecuteTransient(conn, "BEGIN", nil); err != nil {
		return report, err
	}
	for _, migration := range migrations[c.version:] {
		if err := sqlitex.ExecScript(conn, migration); err != nil {
			return report, fmt.Errorf("bring it to this program's schema: %w", err)
		}
	}
	k := checker{conn: conn}
	err = k.read()
	return k.report, errors.Join(err, sqlitex.ExecuteTransient(conn, "ROLLBACK", nil))
}
