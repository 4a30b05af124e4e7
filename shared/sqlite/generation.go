package sqlite

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrForeignLog says that the log beside the file was not written for it, as after a backup was
// put back beside the log of the file before. SQLite would mix the two.
var ErrForeignLog = errors.New("is not the file that its log was written for")

// A generation is the page of a database file that holds a random number, new at each start of a
// service and brought into the file itself before the first order. Nothing changes the page
// before the next start. The lock file beside it says what the page is: a log that is found
// at the next start belongs to the file with that page and to no other, to no backup and to
// no copy made in an earlier life.
//
// The page is read as bytes and not by SQLite: a crash may have left a part of a checkpoint in the
// file, which makes sense to SQLite only together with the log.
type generation struct {
	offset int64
	page   []byte
}

// text is what the lock file has of a generation.
func (g generation) text() string {
	return fmt.Sprintf("generation %d %d %x\n", g.offset, len(g.page), sha256.Sum256(g.page))
}

// isIn reports whether the file has the generation that text tells of.
func hasGeneration(text string, file io.ReaderAt) (bool, error) {
	var offset, size int64
	var sum string
	if _, err := fmt.Sscanf(text, "generation %d %d %s", &offset, &size, &sum); err != nil || size < 0 || size > maxPage {
		return true, nil // a part of a line that a crash has left: nothing is known
	}
	page := make([]byte, size)
	if _, err := file.ReadAt(page, offset); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return generation{offset, page}.text() == text, nil
}

// maxPage is the largest page that SQLite can have, in bytes.
const maxPage = 64 << 10

// readLockFile returns the generation that the database file had last, "" when it is not known,
// and whether the log may be gone since.
func (o *owner) readLockFile() (generation string, closing bool, err error) {
	file, err := os.OpenFile(o.lockPath, os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	content, err := io.ReadAll(file)
	if first, rest, found := strings.Cut(string(content), "\n"); found && first+"\n" != closingLine {
		generation, closing = first+"\n", rest != ""
	}
	return generation, closing, err
}

const closingLine = "closing\n"

// noteClosing is to be called before the last connection is closed, which removes the log.
func (o *owner) noteClosing() error {
	return o.writeLockFile(closingLine, os.O_APPEND)
}

// writeLockFile does not make the file, and is done when its text is on the disk.
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

// checkLog returns ErrForeignLog when the log beside the file is not the file's own.
// It is to be called by the owner, before SQLite opens the file: what SQLite does with a
// foreign log cannot be undone. A file that was copied while the same process served it
// has the process's generation and is not told from the original.
func (o *owner) checkLog() error {
	known, closing, err := o.readLockFile()
	if err := firstError(err, checkJournal(o.file)); err != nil {
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
	return o.checkFile(known)
}

// checkFile returns ErrForeignLog when the file is not the one that its log was written for.
func (o *owner) checkFile(known string) (err error) {
	file, err := os.Open(o.file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	mode, err := journalMode(file)
	switch {
	case err != nil:
		return err
	case mode == journalNone:
		return orphanedLogError(o.file)
	case mode != journalWAL:
		return o.foreignLogError("")
	case known == "":
		return nil // of a release that kept no generations, or the file was moved without its lock file
	}
	same, err := hasGeneration(known, file)
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

// What the header of a database file says of its journal: see
// https://www.sqlite.org/fileformat.html, section 1.3.3.
const (
	journalNone   = 0 // an empty file
	journalWAL    = 2 // 1 is a rollback journal
	journalOffset = 18
)

// journalMode reads the header. It returns ErrDamaged when the file is not SQLite's.
func journalMode(file io.ReaderAt) (int, error) {
	header := make([]byte, 20)
	n, err := file.ReadAt(header, 0)
	switch {
	case n == 0 && errors.Is(err, io.EOF):
		return journalNone, nil
	case err != nil && !errors.Is(err, io.EOF):
		return 0, err
	case !strings.HasPrefix(string(header), "SQLite format 3\x00"):
		return 0, ErrDamaged
	}
	return int(header[journalOffset]), nil
}

// openImmutable opens the file as one that nobody changes and that has no log, whatever lies
// beside it. It makes no files.
func openImmutable(file string) (*sqlite.Conn, error) {
	absolute, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	uri := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(absolute), RawQuery: "immutable=1"}
	return sqlite.OpenConn(uri.String(), sqlite.OpenReadOnly|sqlite.OpenURI)
}

// renewGeneration gives the file a new generation. While it is being written, the lock file
// knows none, and a log is taken for the file's own. That stays so for this life when somebody
// reads the file for so long that the log cannot be brought into it: the result is empty then.
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

// emptyLog brings the log into the file, and reports whether nothing of it is left.
func emptyLog(conn *sqlite.Conn) (emptied bool, err error) {
	busy, err := queryInt(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err == nil && busy == 0, err
}

// checkJournal returns ErrForeignLog when a rollback journal lies beside the file that can only
// be another file's, as after a backup was put by hand where a start was killed. SQLite would
// undo with it a change that was never made to this file.
//
// A service uses a rollback journal for one thing: to write into the first page of a new or a
// restored file that it has a log from now on. Such a journal is right beside the file before
// and after that change. Beside a file without a log, a journal of more pages is left to
// SQLite: a repair of a restored file may have left it.
func checkJournal(file string) error {
	journal, _, err := readBeginning(file + "-journal")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	content, size, err := readBeginning(file)
	if err != nil {
		return err
	}
	if size == 0 || journalBelongs(journal, content, size) {
		return nil // beside an empty file, SQLite deletes it
	}
	return fmt.Errorf("%w (%s-journal): another file of that name has left it. "+
		"If a backup was put back, put it back with: orders restore BACKUP --db %s", ErrForeignLog, file, file)
}

// readBeginning reads as much of a file as checkJournal looks at, and says how large the file is.
func readBeginning(path string) (content []byte, size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	const twoLargestPages = 2 << 16
	content, err = io.ReadAll(io.LimitReader(f, twoLargestPages+16))
	return content, info.Size(), err
}

// belongs reports whether a journal may be the file's own, by what SQLite would do with it.
// See https://www.sqlite.org/fileformat.html, section 3.
func journalBelongs(journal, content []byte, size int64) bool {
	pagesBefore, records, page, ok := journalHeader(journal)
	if !ok || len(content) < headerSize {
		return true // SQLite ignores it, or the file is no database
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

// journalHeader reads how many pages the file had before the change, where the records begin, and how
// large a page is. SQLite ignores a journal that has no such header.
func journalHeader(journal []byte) (pagesBefore int64, records, page int, ok bool) {
	const header, magic = 28, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
	if len(journal) < header || !bytes.HasPrefix(journal, []byte(magic)) {
		return 0, 0, 0, false
	}
	pagesBefore = int64(binary.BigEndian.Uint32(journal[16:]))
	records, page = int(binary.BigEndian.Uint32(journal[20:])), int(binary.BigEndian.Uint32(journal[24:]))
	return pagesBefore, records, page, 512 <= page && page <= maxPage && header <= records && records <= 1<<16
}

// sizeKept reports whether a file has the pages that it had before, or is new and has its first.
func sizeKept(before, size int64, page int) bool {
	now := (size + int64(page) - 1) / int64(page)
	return now == before || before == 0 && now == 1
}

const headerSize = 100

// withoutCounters is the first page without what SQLite changes there when a file gets a log.
func withoutCounters(page []byte) []byte {
	page = bytes.Clone(page)
	clear(page[journalOffset : journalOffset+2]) // the journal mode
	clear(page[24:32])                           // the counter of changes, and the number of pages
	clear(page[92:headerSize])                   // that counter again, and SQLite's version
	return page
}
