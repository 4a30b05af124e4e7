package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// ErrForeignLog says that the log beside the file was not written for it, as after a backup was
// put back beside the log of the file before. SQLite would mix the two.
var ErrForeignLog = errors.New("is not the file that its log was written for")

// A generation is a random number, new at each start of a service. It is written into the
// database file itself before the first order, and beside it into the lock file. A log
// that is found at the next start belongs to the file of that number and to no other: to no
// backup, and to no copy made in an earlier life.
type generation int64

// The lock file holds the generations that the database file may have, a line each: the new
// one, and while it is being written the one before; and the word closing from when the
// log may go.
func readGenerations(beside string) (list []generation, closing bool, err error) {
	content, err := os.ReadFile(beside)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, false, nil
	}
	for field := range strings.FieldsSeq(string(content)) {
		if n, err := strconv.ParseInt(field, 16, 64); err == nil {
			list = append(list, generation(n))
		}
		closing = closing || field == closingMark
	}
	return list, closing, err
}

const closingMark = "closing"

// noteClosing is to be called before the last connection is closed, which removes the log.
func (o *owner) noteClosing() error {
	file, err := os.OpenFile(o.beside, os.O_WRONLY|os.O_APPEND, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.WriteString(closingMark + "\n")
	return errors.Join(err, file.Close())
}

func writeGenerations(beside string, list ...generation) error {
	file, err := os.OpenFile(beside, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	for _, g := range list {
		_, failed := fmt.Fprintf(file, "%x\n", int64(g))
		err = errors.Join(err, failed)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// checkLog returns ErrForeignLog when the log beside the file is not the file's own.
// It is to be called by the owner, before SQLite opens the file: what SQLite does with a
// foreign log cannot be undone. A file that was copied while the same process served it
// has the process's generation and is not told from the original.
func (o *owner) checkLog() error {
	known, closing, err := readGenerations(o.beside)
	if err := firstError(err, checkJournal(o.file)); err != nil {
		return err
	}
	log, err := os.Stat(o.file + "-wal")
	if errors.Is(err, fs.ErrNotExist) {
		o.lostLog = len(known) > 0 && !closing
		return nil
	}
	if err != nil || log.Size() == 0 {
		return err
	}
	mode, err := journalMode(o.file)
	if err != nil {
		return err
	}
	switch mode {
	case journalWAL:
	case journalNone:
		return logAlone(o.file)
	default:
		return o.foreignLog("")
	}
	if len(known) == 0 {
		return nil // of a release that kept no generations, or the file was moved without its lock file
	}
	in, err := generationIn(o.file)
	if err == nil && !slices.Contains(known, in) {
		err = o.foreignLog(fmt.Sprintf(". If both files were moved here together, delete %s and try again", o.beside))
	}
	return err
}

func (o *owner) foreignLog(otherwise string) error {
	return fmt.Errorf("%w (%s-wal): another file of that name has left it. "+
		"If a backup was put back, put it back with: orders restore BACKUP --db %s%s", ErrForeignLog, o.file, o.file, otherwise)
}

func logAlone(file string) error {
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

// journalMode reads the header. It returns ErrDamaged when the file is not SQLite's. An empty
// one has no log yet.
func journalMode(file string) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	header := make([]byte, 20)
	_, err = io.ReadFull(f, header)
	switch {
	case errors.Is(err, io.EOF):
		return journalNone, nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return 0, err
	case !strings.HasPrefix(string(header), "SQLite format 3\x00"):
		return 0, ErrDamaged
	}
	return int(header[journalOffset]), nil
}

// generationIn reads the generation in the database file alone, without its log. It is 0 in
// a file of a release that kept none.
func generationIn(file string) (g generation, err error) {
	conn, err := openImmutable(file)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	tables, err := queryInt(conn, "SELECT count(*) FROM sqlite_schema WHERE name = 'generation'")
	if err != nil || tables == 0 {
		return 0, err
	}
	n, err := queryInt(conn, "SELECT number FROM generation")
	return generation(n), err
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

// renewGeneration gives the file a new generation. At each moment the lock file holds the one
// that the database file has. When somebody reads the file for so long that the log cannot be
// brought into it, both may go on to hold the one before: then only copies of still
// earlier lives are told from the file, and renewed is false.
func (w *writer) renewGeneration(o *owner) (renewed bool, err error) {
	old, err := queryInt(w.conn, "SELECT number FROM generation")
	if err != nil {
		return false, err
	}
	var random [8]byte
	if _, err := io.ReadFull(w.store.cfg.Random, random[:]); err != nil {
		return false, fmt.Errorf("read random bytes: %w", err)
	}
	fresh := generation(binary.NativeEndian.Uint64(random[:]))
	if err := writeGenerations(o.beside, fresh, generation(old)); err != nil {
		return false, err
	}
	args := &sqlitex.ExecOptions{Args: []any{int64(fresh)}}
	if err := sqlitex.Execute(w.conn, "UPDATE generation SET number = ?", args); err != nil {
		return false, err
	}
	emptied, err := emptyLog(w.conn)
	if err != nil || !emptied {
		return false, err
	}
	return true, writeGenerations(o.beside, fresh)
}

// emptyLog brings the log into the file, and reports whether nothing of it is left.
func emptyLog(conn *sqlite.Conn) (emptied bool, err error) {
	busy, err := queryInt(conn, "PRAGMA wal_checkpoint(TRUNCATE)")
	return err == nil && busy == 0, err
}
