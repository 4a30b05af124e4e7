package sqlite

import "zombiezen.com/go/sqlite"

// A fence keeps the writer from committing to a file that another program has changed: what
// the writer holds in memory, the last seq, the tally and the queue, would then be wrong.
// PRAGMA data_version (https://www.sqlite.org/pragma.html#pragma_data_version) changes when
// another connection has committed. It changes as well when another program has emptied the
// log (wal_checkpoint RESTART or TRUNCATE), which is not told from a commit.
type fence struct {
	known   bool
	version int64
}

// check is to be called within a transaction that nobody else can write beside. It
// returns a brokenError when another connection has changed the file since the last call.
func (f *fence) check(conn *sqlite.Conn) error {
	version, err := queryInt(conn, "PRAGMA data_version")
	if err != nil {
		return err
	}
	if f.known && version != f.version {
		return &brokenError{"another program has written to the database file, which only its service may", nil}
	}
	f.known, f.version = true, version
	return nil
}

// forget begins anew, after a transaction of the writer's own has failed: SQLite then reads
// the file again, which changes the number.
func (f *fence) forget() { f.known = false }
