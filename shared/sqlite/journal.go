package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

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
	if size == 0 || belongs(journal, content, size) {
		return nil // beside an empty file, SQLite deletes it
	}
	return fmt.Errorf("%w (%s-journal): another file of that name has left it. "+
		"If a backup was put back, put it back with: orders restore BACKUP --db %s", ErrForeignLog, file, file)
}

// readBeginning reads as much of a file as checkJournal looks at, and says how large the file is.
func readBeginning(path string) (content []byte, size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|onlyFile, 0)
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
func belongs(journal, content []byte, size int64) bool {
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
