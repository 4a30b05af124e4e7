package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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

// sideFiles are what SQLite may have beside a database, by what their names add to its own.
var sideFiles = []string{"-wal", "-shm", "-journal"}

// ErrFindings is about a copy that was made and does not fit together, so that it is not
// put in the place where it was to be. The report has the findings.
var ErrFindings = errors.New("does not fit together, see the findings")

// Backup writes a copy of the database at path to dest: all orders whose creation was
// committed before it began, and perhaps some later ones. A service may run on the database
// meanwhile; it is not disturbed. Now is the clock.
//
// The copy is one file. It is read as Check does before it takes the place of whatever is
// at dest. Until then, also when the process is killed, dest stays as it is.
// Backup returns ErrFindings, with the report, when the copy has findings.
func Backup(ctx context.Context, path, dest string, now func() time.Time) (Report, error) {
	file, served, err := checkSource(path)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, explain(err))
	}
	o, isNew, err := lockDestination(path, dest)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", dest, explain(err))
	}
	report, err := backup(ctx, file, served, place{o.file, isNew}, now, true)
	return report, errors.Join(err, o.release())
}

// backup makes the copy; the caller owns what is in its place. Only a repair keeps one with findings.
func backup(ctx context.Context, file string, served bool, dest place, now func() time.Time, check bool) (report Report, err error) {
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

// checkSource returns the file that path leads to and whether it is served, unless its log was written for
// another file. Whoever serves the file has looked at that already.
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

// takePlace makes the process the owner of the file in the place of a backup, so that nobody
// serves it or makes another backup of that name meanwhile. When there is no file, isNew is true.
// It refuses what is no place for a backup.
func lockDestination(path, dest string) (o *owner, isNew bool, err error) {
	file, err := resolve(dest)
	if isNew = errors.Is(err, fs.ErrNotExist); isNew {
		file, err = dest, checkNoLink(dest)
	}
	for _, check := range []func() error{
		func() error { return checkName(dest) },
		func() error { return err },
		func() error { return checkName(file) },
		func() error { return checkPlace(path, file, isNew) },
	} {
		if err := check(); err != nil {
			return nil, false, err
		}
	}
	o = &owner{file: file, lockPath: file + lockSuffix}
	if isNew {
		err = o.lockPathToRead()
	} else {
		err = o.lockToRead()
	}
	if err != nil {
		return nil, false, errors.Join(err, o.release())
	}
	return o, isNew, nil
}

// noLink returns an error when a link is at dest, which leads to no file.
func checkNoLink(dest string) error {
	if _, err := os.Lstat(dest); err == nil {
		return errors.New("is a link to a file that is not there: if that is on another disk, see whether the disk is mounted")
	}
	return nil
}

// checkName refuses the names of what belongs to a database.
func checkName(file string) error {
	for _, suffix := range append([]string{lockSuffix}, sideFiles...) {
		if strings.HasSuffix(file, suffix) {
			return fmt.Errorf("is no name for a backup: a file that ends in %s belongs to a database", suffix)
		}
	}
	return nil
}

// checkPlace refuses to replace anything but a backup. A service leaves its lock beside its
// database when it stops; a backup has nothing beside it.
func checkPlace(path, file string, isNew bool) error {
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
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	header := make([]byte, 72)
	n, err := io.ReadFull(f, header)
	// https://www.sqlite.org/fileformat.html, section 1.3.13
	return n == 0 && errors.Is(err, io.EOF) || err == nil && binary.BigEndian.Uint32(header[68:]) == applicationID
}

// isSameFile reports whether both paths lead to one file.
func isSameFile(a, b string) bool {
	first, err := os.Stat(a)
	if err != nil {
		return false
	}
	second, err := os.Stat(b)
	return err == nil && os.SameFile(first, second)
}

// A partialCopy is a copy of a database that is being made beside the file whose
// place it will take. Until commit, that file is untouched; afterwards it is the
// copy. A process that is killed leaves a partial file, which the next copy for the
// same place removes.
type partialCopy struct {
	dest    place
	path    string
	file    *os.File // for fsync; SQLite has descriptors of its own
	lock    owner    // shows that the process lives
	now     func() time.Time
	version int // of the schema, once it is filled
}

// A place is where a copy is to be.
type place struct {
	file  string
	isNew bool // whether there is no file that the copy replaces: then it replaces none
}

// partialSuffix and a random number are what the name of a partial file adds to its place's.
const partialSuffix = ".partial-"

func newPartialCopy(dest place, now func() time.Time) (c *partialCopy, err error) {
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
	// A superuser's copy is to be readable for the user whose service it is.
	if err := errors.Join(c.lock.lockFile(), chownLike(c.path, like)); err != nil {
		return nil, errors.Join(err, c.discard())
	}
	return c, nil
}

// removeLeftOver removes the partial files for that place whose process has died.
func removeLeftOver(dest string) error {
	entries, err := os.ReadDir(filepath.Dir(dest))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		number, ok := strings.CutPrefix(entry.Name(), filepath.Base(dest)+partialSuffix)
		if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || !entry.Type().IsRegular() {
			continue // somebody else's
		}
		o := owner{file: filepath.Join(filepath.Dir(dest), entry.Name())}
		if err := o.lockFile(); err != nil {
			continue // its process lives, or nobody can tell
		}
		if err := errors.Join(removeWithSideFiles(o.file), o.release()); err != nil {
			return err
		}
	}
	return nil
}

// removeWithSideFiles removes a partial file last, because what lies beside it is found by its name.
func removeWithSideFiles(file string) (err error) {
	for _, suffix := range append(slices.Clone(sideFiles), "") {
		if failed := os.Remove(file + suffix); !errors.Is(failed, fs.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// discard gives the copy up. After commit there is nothing left to give up.
func (c *partialCopy) discard() error {
	return errors.Join(c.file.Close(), c.lock.release(), removeWithSideFiles(c.path))
}

// commit puts the copy in the place of dest, for good.
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

// keepMode gives the copy the permissions of the file that it replaces. A group that is not that
// file's gets none.
func (c *partialCopy) keepMode() error {
	if c.dest.isNew {
		return nil // it keeps those of a temporary file, 0600
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

// rename gives the copy its name. When there was no file of that name, one that is there now is
// another program's, such as the database of a service that has started meanwhile.
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

// errAppeared is about a file that was not there when the copy was begun.
var errAppeared = errors.New("was made by another program while the copy was made, and is left as it is")

// syncFolder makes what has become of the names in the file's folder last.
func syncFolder(file string) error {
	folder, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// maxCopying bounds how long the pace of a copy may hold its snapshot: meanwhile the
// -wal of a running service only grows.
const maxCopying = 2 * time.Minute

const (
	// pagesAtOnce are copied and written out between two rests: 256 KB, which keeps no commit of the
	// service waiting for long.
	pagesAtOnce = 64
	// restFactor is how much longer a rest is than the work before it. Longer rests make a longer
	// log, and the commit that brings it into the file after the copy lasts longer.
	pauseFactor = 1
)

// fillChecked copies the database at path and reads the copy. It returns ErrFindings, with
// the report, when that does not fit together. Beside a service that runs it is in no hurry.
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

// fill copies the database at path as it is at this moment, with what its log holds.
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

// A writeError is about the copy, and not about the database that is copied.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// ofWriting makes an error one about the copy.
func newWriteError(err error) error {
	if err == nil {
		return nil
	}
	return &writeError{err}
}

// ofStep tells which of the two files an error of copying pages is about: the database is only read.
func classifyStepError(err error) error {
	switch code := sqlite.ErrCode(err); {
	case code.ToPrimary() == sqlite.ResultFull,
		code == sqlite.ResultIOErrWrite, code == sqlite.ResultIOErrFsync, code == sqlite.ResultIOErrTruncate:
		return newWriteError(err)
	}
	return err
}

// copy reads all of the database inside one transaction: SQLite's online backup begins anew
// whenever another process has committed, unless its own snapshot holds it. Its
// connection may only read, so closing it neither checkpoints nor deletes a log.
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

// errEmpty is about a file in which a service has never been.
var errEmpty = errors.New("holds no orders and no schema yet: serve the file once")

// write opens the partial file for do, without SQLite's protections against a crash:
// nobody reads the copy before it is finished and synced. Afterwards it is one file, without
// a log: journal_mode DELETE is in its header.
func (c *partialCopy) write(do func(*sqlite.Conn) error) (err error) {
	to, err := sqlite.OpenConn(c.path, sqlite.OpenReadWrite)
	if err != nil {
		return newWriteError(err)
	}
	defer func() { err = errors.Join(err, newWriteError(to.Close())) }()
	for _, setting := range []string{"journal_mode = OFF", "synchronous = OFF"} {
		if err := pragma(to, setting); err != nil {
			return newWriteError(err)
		}
	}
	if err := do(to); err != nil {
		return err
	}
	return newWriteError(pragma(to, "journal_mode = DELETE"))
}

// copyPages copies all pages. Beside a service that runs it rests between, which leaves processor and
// disk to the service, but not for so long that the whole would take longer than maxCopying.
func (c *partialCopy) copyPages(ctx context.Context, copying *sqlite.Backup, served bool) error {
	for began := c.now(); ; {
		stepBegan := c.now()
		more, err := copying.Step(pagesAtOnce)
		if err = firstError(classifyStepError(err), ctx.Err()); err != nil || !more {
			return err
		}
		if !served {
			continue
		}
		// Little by little, because one fsync of the whole would hold up the service's.
		if err := flush(c.file); err != nil {
			return newWriteError(err)
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

// check reads the copy as Check does.
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
	// What an older release has written is brought up to date for the check alone, so that it
	// stays what that release can read.
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
	return k.result(), errors.Join(err, sqlitex.ExecuteTransient(conn, "ROLLBACK", nil))
}
