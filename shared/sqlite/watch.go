package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"time"

	"zombiezen.com/go/sqlite"
)

// companions are the suffixes of the files that a running service keeps beside the database file.
var companions = []string{"-wal", "-shm", lockSuffix}

// A fileWatch checks that the open files are still the ones at their paths, and that no other
// program has overwritten the database or its log.
type fileWatch struct {
	files []watchedFile // the database first
	// Descriptors that stay open when SQLite closes its own.
	database, log, index *os.File
	generation           generation // empty if the log could not be written into the file at the start
}

type watchedFile struct {
	path   string
	opened fs.FileInfo
}

func openWatch(file string) (w *fileWatch, err error) {
	w = &fileWatch{}
	for _, suffix := range append([]string{""}, companions...) {
		info, err := os.Stat(file + suffix)
		if err != nil {
			return w, err
		}
		w.files = append(w.files, watchedFile{file + suffix, info})
	}
	if w.database, err = os.Open(file); err == nil {
		w.log, err = os.Open(file + "-wal")
	}
	if err == nil {
		w.index, err = os.Open(file + "-shm")
	}
	return w, err
}

// close must be called after SQLite has closed its own descriptors.
func (w *fileWatch) close() (err error) {
	for _, file := range []*os.File{w.database, w.log, w.index} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}

// newBuffer returns the memory that check needs, for one goroutine.
func (w *fileWatch) newBuffer() []byte {
	return make([]byte, max(len(w.generation.page), 2*indexHeaderSize))
}

// check returns a brokenError if a file was deleted, replaced or overwritten, or has a second name.
// SQLite would continue with the open file, and its commits would be lost when the process ends, or
// be mixed with the content that another program wrote.
func (w *fileWatch) check(buffer []byte) error {
	for i, f := range w.files {
		info, err := os.Stat(f.path)
		if err != nil || !os.SameFile(info, f.opened) {
			return &brokenError{f.path + " was deleted or replaced", err}
		}
		if i == 0 && linkCount(info) != 1 {
			return &brokenError{f.path, errLinked}
		}
	}
	if err := w.checkDatabase(buffer); err != nil {
		return &brokenError{w.files[0].path + " was overwritten by another program", err}
	}
	if err := w.checkLog(buffer); err != nil {
		return &brokenError{w.files[1].path + " was overwritten by another program", err}
	}
	return nil
}

// checkDatabase compares bytes of the database file that do not change while the process runs.
func (w *fileWatch) checkDatabase(buffer []byte) error {
	journal := buffer[:1]
	if _, err := w.database.ReadAt(journal, journalOffset); err != nil {
		return err
	}
	if journal[0] != journalWAL {
		return errors.New("its journal mode was changed")
	}
	page := buffer[:len(w.generation.page)]
	if len(page) == 0 {
		return nil
	}
	if _, err := w.database.ReadAt(page, w.generation.offset); err != nil {
		return err
	}
	if !bytes.Equal(page, w.generation.page) {
		return errors.New("its generation was changed")
	}
	return nil
}

// The format of the log and of its index: https://www.sqlite.org/walformat.html.
const (
	indexHeaderSize = 96 // bytes: 48 twice, which differ only during a write
	indexCommits    = 8  // offset of the counter of commits
	indexPageSize   = 14 // offset of the page size, 1 for 64 KiB
	indexFrames     = 16 // offset of the number of frames in the log
	indexSalts      = 32 // offset of the salts of the log
	logHeaderSize   = 32
	logFrameHeader  = 24
	logSalts        = 16
)

// readIndex reads the header of the log's index. stable is false during a write.
func readIndex(index *os.File, header []byte) (stable bool, err error) {
	_, err = index.ReadAt(header, 0)
	const half = indexHeaderSize / 2
	return err == nil && bytes.Equal(header[:half], header[half:]), err
}

// checkLog compares the log with its index, which is in the shared memory of all processes that use
// it. If the index changes meanwhile, another connection is writing, and the next check decides.
func (w *fileWatch) checkLog(buffer []byte) error {
	index, again := buffer[:indexHeaderSize], buffer[indexHeaderSize:2*indexHeaderSize]
	if stable, err := readIndex(w.index, index); err != nil || !stable {
		return err
	}
	frames := int64(binary.NativeEndian.Uint32(index[indexFrames:]))
	if frames == 0 {
		return nil
	}
	var log [logSalts + 8]byte
	_, failed := w.log.ReadAt(log[:], 0)
	info, err := w.log.Stat()
	if err != nil {
		return err
	}
	if _, err := readIndex(w.index, again); err != nil || !bytes.Equal(index, again) {
		return err
	}
	if failed != nil {
		return failed
	}
	page := int64(binary.NativeEndian.Uint16(index[indexPageSize:]))
	if page == 1 {
		page = maxPage
	}
	if info.Size() < logHeaderSize+frames*(logFrameHeader+page) || !bytes.Equal(log[logSalts:], index[indexSalts:indexSalts+8]) {
		return errors.New("its content is not what the index describes")
	}
	return nil
}

// watchInterval is how often an idle store checks its files and its clock.
const watchInterval = 500 * time.Millisecond

// watchFiles checks the files also while there is nothing to commit, until the store stops.
func (s *Store) watchFiles() {
	defer close(s.watchDone)
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	buffer := s.files.newBuffer()
	for {
		select {
		case <-s.stopped:
			return
		case <-ticker.C:
			s.clock.wall(s.cfg.Now())
			s.failOnDamage(s.files.check(buffer))
			if s.health.isFailing() {
				s.signal() // for a probe
			}
		}
	}
}

// A fence prevents commits to a file that another program has changed: the last seq, the tally and
// the queue, which the writer holds in memory, would be wrong.
//
// PRAGMA data_version (https://www.sqlite.org/pragma.html#pragma_data_version) changes when another
// connection has committed. It also changes when another program has emptied the log, as programs
// do that copy the file continuously. The counter of commits in the log's index distinguishes the
// two (https://www.sqlite.org/walformat.html, section 2.1.1).
type fence struct {
	index *os.File // the log's index

	known     bool
	version   int64
	commits   uint32
	changes   int64 // rows that this connection has changed so far
	committed bool  // whether the writer has committed since
}

// check must be called within a transaction that excludes other writers. It returns a brokenError
// if another connection has committed since the last call.
func (f *fence) check(conn *sqlite.Conn) error {
	last := *f
	var err error
	if f.version, err = queryInt(conn, "PRAGMA data_version"); err != nil {
		return err
	}
	if f.changes, err = queryInt(conn, "SELECT total_changes()"); err != nil {
		return err
	}
	var header [indexHeaderSize]byte
	if _, err := readIndex(f.index, header[:]); err != nil {
		return err
	}
	f.commits = binary.NativeEndian.Uint32(header[indexCommits:])
	f.known, f.committed = true, false
	if !last.known || f.version == last.version || f.commits == last.commits ||
		last.committed && f.changes != last.changes && f.commits == last.commits+1 {
		return nil
	}
	return &brokenError{"another program has written to the database file, which only its service may", nil}
}
