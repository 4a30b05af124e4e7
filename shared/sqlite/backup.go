package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// companions are what may lie beside a database, by what their names add to its own.
var companions = []string{"-wal", "-shm", "-journal"}

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
	if err := regularFile(path); err != nil {
		return Report{}, fmt.Errorf("%s: %w", path, err)
	}
	release, err := takePlace(path, dest)
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", dest, err)
	}
	report, err := backup(ctx, path, target(dest), now, true)
	return report, errors.Join(err, release())
}

// backup makes the copy; the caller owns dest. Only a repair keeps one with findings.
func backup(ctx context.Context, path, dest string, now func() time.Time, check bool) (report Report, err error) {
	c, err := newPartialCopy(dest, now)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, c.discard()) }()
	if check {
		report, err = c.fillChecked(ctx, path)
	} else {
		err = c.fill(ctx, path)
	}
	if err != nil {
		return report, err
	}
	return report, c.commit()
}

// takePlace makes the process the owner of the place of a backup, so that nobody serves a
// database there or makes another backup meanwhile. It refuses what is no place for one.
func takePlace(path, dest string) (release func() error, err error) {
	for _, suffix := range append([]string{lockSuffix}, companions...) {
		if strings.HasSuffix(dest, suffix) {
			return nil, fmt.Errorf("is no name for a backup: a file that ends in %s belongs to a database", suffix)
		}
	}
	if err := regularFile(dest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if isSameFile(path, dest) {
		return nil, errors.New("is the database itself")
	}
	for _, suffix := range companions {
		if _, err := os.Lstat(target(dest) + suffix); err == nil {
			return nil, fmt.Errorf("is a database that was served and not a backup, for %s%s lies beside it: name another file", dest, suffix)
		}
	}
	return ownPlace(dest)
}

// ownPlace makes the process the owner of a place where there may be no database, and leaves
// no trace of that.
func ownPlace(path string) (release func() error, err error) {
	lock := lockOf(path)
	_, missing := os.Stat(lock.Path())
	if err := own(lock); err != nil {
		return nil, err
	}
	return func() (err error) {
		if missing != nil {
			err = os.Remove(lock.Path())
		}
		return errors.Join(err, lock.Unlock())
	}, nil
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
