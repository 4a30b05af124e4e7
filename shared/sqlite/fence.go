package sqlite

import (
	"encoding/binary"
	"os"

	"zombiezen.com/go/sqlite"
)

// A fence keeps the writer from committing to a file that another program has changed: what
// the writer holds in memory, the last seq, the tally and the queue, would then be wrong.
//
// PRAGMA data_version (https://www.sqlite.org/pragma.html#pragma_data_version) changes when
// another connection has committed. It changes as well when another program has emptied the
// log, as programs do that copy the file continuously. The counter of commits in the log's
// index tells the two apart (https://www.sqlite.org/walformat.html, section 2.1.1).
type fence struct {
	index *os.File // the log's index, by a descriptor that outlives SQLite's

	known   bool
	version int64
	commits uint32
	changes int64 // rows that this connection has changed so far
	own     bool  // whether the writer has committed since
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
	f.known, f.own = true, false
	if !last.known || f.version == last.version || f.commits == last.commits ||
		last.own && f.changes != last.changes && f.commits == last.commits+1 {
		return nil
	}
	return &brokenError{"another program has written to the database file, which only its service may", nil}
}
