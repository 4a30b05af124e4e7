package sqlite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
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
	o, isNew, err := takePlace(path, dest)
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
	o, err := inspect(path)
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
func takePlace(path, dest string) (o *owner, isNew bool, err error) {
	file, err := resolve(dest)
	if isNew = errors.Is(err, fs.ErrNotExist); isNew {
		file, err = dest, noLink(dest)
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
	o = &owner{file: file, beside: file + lockSuffix}
	if isNew {
		err = o.lockBesideToRead()
	} else {
		err = o.lockToRead()
	}
	if err != nil {
		return nil, false, errors.Join(err, o.release())
	}
	return o, isNew, nil
}

// noLink returns an error when a link is at dest, which leads to no file.
func noLink(dest string) error {
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
