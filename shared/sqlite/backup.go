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
	place, release, err := takePlace(path, dest)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", dest, explain(err))
	}
	report, err := backup(ctx, file, served, place, now, true)
	return report, errors.Join(err, release())
}

// backup makes the copy; the caller owns dest. Only a repair keeps one with findings.
func backup(ctx context.Context, file string, served bool, dest string, now func() time.Time, check bool) (report Report, err error) {
	c, err := newPartialCopy(dest, now)
	if err != nil {
		return report, fmt.Errorf("%s: %w", dest, err)
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

// takePlace makes the process the owner of what is in the place of a backup, so that nobody
// serves it or makes another backup of that name meanwhile. It refuses what is no place for one.
func takePlace(path, dest string) (file string, release func() error, err error) {
	for _, suffix := range append([]string{lockSuffix}, sideFiles...) {
		if strings.HasSuffix(dest, suffix) {
			return "", nil, fmt.Errorf("is no name for a backup: a file that ends in %s belongs to a database", suffix)
		}
	}
	file, err = resolve(dest)
	missing := errors.Is(err, fs.ErrNotExist)
	if missing {
		file = dest
	} else if err != nil {
		return "", nil, err
	}
	if isSameFile(path, file) {
		return "", nil, errors.New("is the database itself")
	}
	if !missing && !isReplaceable(file) {
		return "", nil, errors.New("is there, and is no backup of orders: name another file, or remove it")
	}
	for _, suffix := range sideFiles {
		if _, err := os.Lstat(file + suffix); err == nil {
			return "", nil, fmt.Errorf("is a database that was served and not a backup, for %s%s lies beside it: name another file", dest, suffix)
		}
	}
	o := &owner{file: file, beside: file + lockSuffix}
	if missing {
		err = o.lockBesideToRead()
	} else {
		err = o.lockToRead()
	}
	if err != nil {
		return "", nil, errors.Join(err, o.release())
	}
	return file, o.release, nil
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
