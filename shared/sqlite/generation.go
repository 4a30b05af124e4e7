package sqlite

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrForeignLog says that the log beside the file was written for another file, for example because
// a backup was put back beside the log of the replaced file. SQLite would mix the two.
var ErrForeignLog = errors.New("is not the file that its log was written for")

// A generation is a page of a database file that holds a random number. Each start of a service
// writes a new number, and brings it into the file itself before the first order. The page does not
// change until the next start. The lock file has the page's offset and hash. So a log that a start
// finds belongs to the file with that page, and to no backup and no copy from before the last
// start.
//
// The page is compared as bytes and not read by SQLite: a crash may have left a part of a
// checkpoint in the file, which SQLite can read only together with the log.
type generation struct {
	offset int64
	page   []byte
}

func (g generation) text() string {
	return fmt.Sprintf("generation %d %d %x\n", g.offset, len(g.page), sha256.Sum256(g.page))
}

// hasGeneration reports whether the file has the generation of that line. It has if the line is not
// whole, because a crash may have cut it: then nothing is known.
func hasGeneration(file, line string) (has bool, err error) {
	var offset, size int64
	var sum string
	if _, err := fmt.Sscanf(line, "generation %d %d %s", &offset, &size, &sum); err != nil || size < 0 || size > maxPage {
		return true, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	page := make([]byte, size)
	if _, err := f.ReadAt(page, offset); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return generation{offset, page}.text() == line, nil
}

// maxPage is the largest page size of SQLite, in bytes.
const maxPage = 64 << 10

// readLockFile returns the line of the last generation of the database file, "" if it is not known,
// and whether its service was closing the file, so that the log may be missing.
func (o *owner) readLockFile() (generation string, closing bool, err error) {
	content, _, err := readHead(o.lockPath, maxPage)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", false, nil
	}
	if first, rest, found := strings.Cut(string(content), "\n"); found && first+"\n" != closingLine {
		generation, closing = first+"\n", rest != ""
	}
	return generation, closing, err
}

const closingLine = "closing\n"

// noteClosing must be called before the last connection is closed, which removes the log.
func (o *owner) noteClosing() error {
	return o.writeLockFile(closingLine, os.O_APPEND)
}

// writeLockFile writes to an existing lock file, and returns when the text is on the disk.
func (o *owner) writeLockFile(text string, flag int) error {
	file, err := os.OpenFile(o.lockPath, os.O_WRONLY|noFollow|flag, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Sync(), file.Close())
}

// checkOrphanedLog returns ErrForeignLog if there is a log that is not empty, but no database.
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

// checkLog returns ErrForeignLog if the log beside the file was written for another file. The owner
// must call it before SQLite opens the file, because SQLite cannot undo the use of a foreign log. A
// file that was copied since the last start cannot be distinguished from the original.
func (o *owner) checkLog() error {
	known, closing, err := o.readLockFile()
	if err := cmp.Or(err, checkJournal(o.file)); err != nil {
		return err
	}
	log, err := os.Stat(o.file + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		o.lostLog = known != "" && !closing
		return nil
	}
	if err != nil || log.Size() == 0 {
		return err
	}
	return o.checkGeneration(known)
}

// checkGeneration returns ErrForeignLog if a file that has a log is not of the known generation.
func (o *owner) checkGeneration(known string) error {
	mode, err := journalMode(o.file)
	switch {
	case err != nil:
		return err
	case mode == journalNone:
		return orphanedLogError(o.file)
	case mode != journalWAL:
		return o.foreignLogError("")
	case known == "":
		return nil // the file is of a release without generations, or was moved without its lock file
	}
	same, err := hasGeneration(o.file, known)
	if err == nil && !same {
		err = o.foreignLogError(fmt.Sprintf(". If both files were moved here together, delete %s and try again", o.lockPath))
	}
	return err
}

func (o *owner) foreignLogError(otherwise string) error {
	return fmt.Errorf("%w (%s-wal): another file of that name has left it, or the file is damaged. "+
		"If a backup was put back, put it back with: orders restore BACKUP --db %s%s", ErrForeignLog, o.file, o.file, otherwise)
}

func orphanedLogError(file string) error {
	return fmt.Errorf("%w: it is missing or empty, and its log, %s-wal, is there. Put the file back where it was, "+
		"or restore a backup with: orders restore BACKUP --db %s", ErrForeignLog, file, file)
}

// renewGeneration writes a new generation. Meanwhile the lock file has none, so that a crash does
// not make the log a foreign one. The result is empty if another program reads the file for so long
// that the log cannot be brought into the file; then the lock file has none until the next start.
func (w *writer) renewGeneration(o *owner, database io.ReaderAt) (g generation, err error) {
	if err := o.writeLockFile("", os.O_TRUNC); err != nil {
		return g, err
	}
	var random [8]byte
	if _, err := io.ReadFull(w.store.cfg.Random, random[:]); err != nil {
		return g, fmt.Errorf("read random bytes: %w", err)
	}
	args := &sqlitex.ExecOptions{Args: []any{int64(binary.NativeEndian.Uint64(random[:]))}}
	if err := sqlitex.Execute(w.conn, "UPDATE generation SET number = ?", args); err != nil {
		return g, err
	}
	if emptied, err := emptyLog(w.conn); err != nil || !emptied {
		return g, err
	}
	size, err := queryInt(w.conn, "PRAGMA page_size")
	if err != nil {
		return g, err
	}
	number, err := queryInt(w.conn, "SELECT rootpage FROM sqlite_schema WHERE name = 'generation'")
	if err != nil {
		return g, err
	}
	g = generation{(number - 1) * size, make([]byte, size)}
	if _, err := database.ReadAt(g.page, g.offset); err != nil {
		return g, err
	}
	return g, o.writeLockFile(g.text(), 0)
}

// The header of a database file: https://www.sqlite.org/fileformat.html, section 1.3.
const (
	headerSize        = 100
	journalOffset     = 18
	applicationOffset = 68

	journalNone = 0 // an empty file
	journalWAL  = 2 // 1 is a rollback journal
)

// readHead reads up to limit bytes from the beginning of a file, and returns the size of the file.
func readHead(path string, limit int64) (head []byte, size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	head, err = io.ReadAll(io.LimitReader(f, limit))
	return head, info.Size(), err
}

// journalMode reads the journal mode from the header. It returns ErrDamaged if the file is not
// SQLite's.
func journalMode(file string) (int, error) {
	head, _, err := readHead(file, headerSize)
	switch {
	case err != nil:
		return 0, err
	case len(head) == 0:
		return journalNone, nil
	case len(head) <= journalOffset || !bytes.HasPrefix(head, []byte("SQLite format 3\x00")):
		return 0, ErrDamaged
	}
	return int(head[journalOffset]), nil
}

// checkJournal returns ErrForeignLog if the rollback journal beside the file was written for
// another file, for example because a backup was put there by hand after a start was killed. With
// such a journal, SQLite would undo a change that was never made to this file.
//
// A service uses a rollback journal for one change only: to write the journal mode WAL into the
// first page of a new or restored file. Such a journal belongs to the file before and after that
// change. Beside a file in another mode, SQLite decides about a journal of more pages: a repair of
// a restored file may have left it.
func checkJournal(file string) error {
	const twoLargestPages = 2 << 16
	journal, _, err := readHead(file+"-journal", twoLargestPages+16)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	content, size, err := readHead(file, twoLargestPages)
	if err != nil {
		return err
	}
	if size == 0 || journalBelongs(journal, content, size) {
		return nil // beside an empty file, SQLite deletes it
	}
	return fmt.Errorf("%w (%s-journal): another file of that name has left it. "+
		"If a backup was put back, put it back with: orders restore BACKUP --db %s", ErrForeignLog, file, file)
}

// journalBelongs reports whether a journal may belong to the file, by what SQLite would do with it.
// See https://www.sqlite.org/fileformat.html, section 3.
func journalBelongs(journal, content []byte, size int64) bool {
	pagesBefore, records, page, ok := journalHeader(journal)
	if !ok || len(content) < headerSize {
		return true // SQLite ignores the journal, or the file is not a database
	}
	// A record is the number of a page, the page before the change, and a checksum.
	length := 4 + page + 4
	first := journal[min(records, len(journal)):]
	switch {
	case len(first) < length: // no page yet: SQLite only cuts the file
		return sizeKept(pagesBefore, size, page)
	case len(first) == length && binary.BigEndian.Uint32(first) == 1:
		return sizeKept(pagesBefore, size, page) && len(content) >= page &&
			bytes.Equal(withoutCounters(first[4:4+page]), withoutCounters(content[:page]))
	}
	return content[journalOffset] != journalWAL
}

// journalHeader returns the number of pages that the file had before the change, where the records
// begin, and the size of a page. SQLite ignores a journal without such a header.
func journalHeader(journal []byte) (pagesBefore int64, records, page int, ok bool) {
	const header, magic = 28, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
	if len(journal) < header || !bytes.HasPrefix(journal, []byte(magic)) {
		return 0, 0, 0, false
	}
	pagesBefore = int64(binary.BigEndian.Uint32(journal[16:]))
	records, page = int(binary.BigEndian.Uint32(journal[20:])), int(binary.BigEndian.Uint32(journal[24:]))
	return pagesBefore, records, page, 512 <= page && page <= maxPage && header <= records && records <= 1<<16
}

// sizeKept reports whether the file still has its number of pages, or is new and has its first
// page.
func sizeKept(before, size int64, page int) bool {
	now := (size + int64(page) - 1) / int64(page)
	return now == before || before == 0 && now == 1
}

// withoutCounters clears in a copy of the first page what SQLite changes when a file gets a log.
func withoutCounters(page []byte) []byte {
	page = bytes.Clone(page)
	clear(page[journalOffset : journalOffset+2]) // the journal mode
	clear(page[24:32])                           // the change counter and the number of pages
	clear(page[92:headerSize])                   // the change counter again, and SQLite's version
	return page
}
