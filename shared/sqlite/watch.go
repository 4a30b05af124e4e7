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

// companions are the files that SQLite and the lock have beside the database file.
var companions = []string{"-wal", "-shm", lockSuffix}

// A watch tells whether the files are still those that were opened, each in its place, and
// whether database and log still have the contents of this life.
type watch struct {
	files []watched // the database first
	// Descriptors that outlive SQLite's.
	database, log, index *os.File
	generation           generation // empty when the log could not be brought into the file
}

type watched struct {
	path   string
	opened fs.FileInfo
}

// openWatch begins to watch the files of a database that SQLite has open.
func openWatch(file string) (w *watch, err error) {
	w = &watch{}
	for _, suffix := range append([]string{""}, companions...) {
		info, err := os.Stat(file + suffix)
		if err != nil {
			return w, err
		}
		w.files = append(w.files, watched{file + suffix, info})
	}
	if w.database, err = os.Open(file); err == nil {
		w.log, err = os.Open(file + "-wal")
	}
	if err == nil {
		w.index, err = os.Open(file + "-shm")
	}
	return w, err
}

// close is for after SQLite has closed its own descriptors.
func (w *watch) close() (err error) {
	for _, file := range []*os.File{w.database, w.log, w.index} {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}

// newBuffer returns what check needs, for one goroutine.
func (w *watch) newBuffer() []byte { return make([]byte, max(len(w.generation.page), 2*indexHeader)) }

// check returns a brokenError when a file was deleted or replaced, has got a second name, or was
// overwritten. SQLite would go on with the open one, and all that it takes would be gone
// with the process, or be mixed with what others have written.
func (w *watch) check(buffer []byte) error {
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
	if err := w.checkWAL(buffer); err != nil {
		return &brokenError{w.files[1].path + " was overwritten by another program", err}
	}
	return nil
}

// checkDatabase looks for the bytes in the database file that this life does not change.
func (w *watch) checkDatabase(buffer []byte) error {
	journal := buffer[:1]
	if _, err := w.database.ReadAt(journal, journalOffset); err != nil {
		return err
	}
	if journal[0] != journalWAL {
		return errors.New("it has another journal mode")
	}
	page := buffer[:len(w.generation.page)]
	if len(page) == 0 {
		return nil
	}
	if _, err := w.database.ReadAt(page, w.generation.offset); err != nil {
		return err
	}
	if !bytes.Equal(page, w.generation.page) {
		return errors.New("it has another generation")
	}
	return nil
}

// Of the log and of its index: see https://www.sqlite.org/walformat.html.
const (
	indexHeader    = 96 // bytes: the same 48 twice, unless somebody is writing
	indexPageSize  = 14 // offset of the size of a page, 1 for 64 KiB
	indexFrames    = 16 // offset of the number of frames in the log
	indexSalts     = 32 // offset of the salts of the log
	logHeader      = 32
	logFrameHeader = 24
	logSalts       = 16
)

// checkWAL compares the log with its index, which is in the memory of all who use it. When the
// index changes meanwhile, somebody is writing, and the next call will tell.
func (w *watch) checkWAL(buffer []byte) error {
	index, again := buffer[:indexHeader], buffer[indexHeader:2*indexHeader]
	if _, err := w.index.ReadAt(index, 0); err != nil || !bytes.Equal(index[:indexHeader/2], index[indexHeader/2:]) {
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
	if _, err := w.index.ReadAt(again, 0); err != nil || !bytes.Equal(index, again) {
		return err
	}
	if failed != nil {
		return failed
	}
	page := int64(binary.NativeEndian.Uint16(index[indexPageSize:]))
	if page == 1 {
		page = maxPage
	}
	if info.Size() < logHeader+frames*(logFrameHeader+page) || !bytes.Equal(log[logSalts:], index[indexSalts:indexSalts+8]) {
		return errors.New("it is not the log that was written")
	}
	return nil
}

// watchInterval is how often an idle store looks after its files and its clock.
const watchInterval = 500 * time.Millisecond

// watch looks after the files also while there is nothing to commit, until the store stops.
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

// A fence keeps the writer from committing to a file that another program has changed: what
// the writer holds in memory, the last seq, the tally and the queue, would then be wrong.
//
// PRAGMA data_version (https://www.sqlite.org/pragma.html#pragma_data_version) changes when
// another connection has committed. It changes as well when another program has emptied the
// log, as programs do that copy the file continuously. The counter of commits in the log's
// index tells the two apart (https://www.sqlite.org/walformat.html, section 2.1.1).
type fence struct {
	index *os.File // the log's index, by a descriptor that outlives SQLite's

	known     bool
	version   int64
	commits   uint32
	changes   int64 // rows that this connection has changed so far
	committed bool  // whether the writer has committed since
}

// check is to be called within a transaction that nobody else can write beside. It
// returns a brokenError when another connection has committed since the last call.
func (f *fence) check(conn *sqlite.Conn) error {
	last := *f
	var err error
	if f.version, err = queryInt(conn, "PRAGMA data_version"); err != nil {
		return err
	}
	if f.changes, err = queryInt(conn, "SELECT total_changes()"); err != nil {
		return err
	}
	var counter [4]byte
	if _, err := f.index.ReadAt(counter[:], 8); err != nil {
		return err
	}
	f.commits = binary.NativeEndian.Uint32(counter[:])
	f.known, f.committed = true, false
	if !last.known || f.version == last.version || f.commits == last.commits ||
		last.committed && f.changes != last.changes && f.commits == last.commits+1 {
		return nil
	}
	return &brokenError{"another program has written to the database file, which only its service may", nil}
}
