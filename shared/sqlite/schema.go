// Package sqlite stores orders in one SQLite file and processes them in the same process: it is the
// store, the queue and the worker of the embedded deployment.
//
// # Promises
//
// An acknowledged order is on the disk (WAL, synchronous=FULL). A transition, its effect on the
// tally and its follow-ups are one commit, so every effect happens once, at whatever moment the
// process crashes. Reads see committed state only and never wait for the writer. One process owns
// the file; a second one gets ErrInUse.
//
// The package does not validate requests, and it has no network interface: it expects drafts that
// package order accepts. It takes no messages from outside.
//
// # How it works
//
// One goroutine, the writer, makes all changes. It takes all new orders that wait and all
// transitions that are due, and commits them as one transaction: a group commit (see writer.go).
// Then the orders are acknowledged.
//
// There is no table of messages. Each unfinished order is its own message: order.Change.FollowUps
// returns the transition that it waits for, so a restart computes the queue from the orders above
// the checkpoint "finished" (see ranges.go).
//
// # Schema
//
//	orders        seq, id, client_reference, user_id, item_ids, total_amount,
//	              fingerprint, status, started_at, completed_at
//	exceptions    seq, status, version, attempt, reason, failed_at, cancelled_at, history: what only
//	              orders have that have left the main path
//	open_orders   seq: orders that are unfinished, below the checkpoint "finished"
//	keys          id, seq: the orders with an idempotency key
//	tally         one row: the sum of Change.Tally over all commits
//	checkpoints   "finished": no order up to this seq waits for a transition of the service, but
//	              those in open_orders and in dead_letters
//	              "keys": every keyed order up to this seq is in keys
//	dead_letters  messages that can never succeed, and messages of orders that cannot be read
//	generation    one row: the random number of the last start (see generation.go)
//	probe         bytes written to find out whether the disk has room again (see store.go)
//
// seq is the primary key and the order of creation: the creation time in milliseconds and 15 bits
// of counter. Seqs grow with each commit, and none is used twice. Inserts append, and the list, its
// cursor and the creation time need neither an index nor a column. A seq is also the leading 63
// bits of the ULID in the id, so such an id leads to its row. The id of an order with an
// idempotency key is a hash, which the table keys maps to the seq; keys is written in sorted
// batches a little behind the orders (see keys.go).
package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
)

// migrations[n] brings a file from schema version n to n+1. The version is PRAGMA user_version. A
// released migration is never edited.
var migrations = []string{`
CREATE TABLE orders (
	seq              INTEGER PRIMARY KEY,
	id               TEXT    NOT NULL, -- without its "ORD"
	client_reference TEXT    NOT NULL, -- '' when the client gave none
	user_id          TEXT    NOT NULL,
	item_ids         TEXT    NOT NULL, -- JSON array of strings
	total_amount     INTEGER NOT NULL, -- hundredths
	fingerprint      BLOB    NOT NULL,
	status           INTEGER NOT NULL CHECK (status BETWEEN 0 AND 2),
	started_at       INTEGER NOT NULL, -- milliseconds since 1970, or unset (see rows.go)
	completed_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
	id  TEXT    PRIMARY KEY,
	seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
	one          INTEGER PRIMARY KEY CHECK (one = 1),
	pending      INTEGER NOT NULL CHECK (pending >= 0),
	processing   INTEGER NOT NULL CHECK (processing >= 0),
	completed    INTEGER NOT NULL CHECK (completed >= 0),
	timed_orders INTEGER NOT NULL CHECK (timed_orders BETWEEN 0 AND completed),
	timed_millis INTEGER NOT NULL CHECK (timed_millis >= 0)
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0, 0, 0);

CREATE TABLE checkpoints (
	name TEXT    PRIMARY KEY,
	seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO checkpoints VALUES ('finished', 0), ('keys', 0);

CREATE TABLE dead_letters (
	number    INTEGER PRIMARY KEY,
	buried_at INTEGER NOT NULL, -- milliseconds since 1970
	body      BLOB    NOT NULL,
	reason    TEXT    NOT NULL
) STRICT;
`, `
CREATE TABLE generation (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	number INTEGER NOT NULL
) STRICT;
INSERT INTO generation VALUES (1, 0);

CREATE TABLE probe (
	one    INTEGER PRIMARY KEY CHECK (one = 1),
	filler BLOB    NOT NULL
) STRICT;
`, `
ALTER TABLE tally RENAME COLUMN timed_orders TO completed_count;
ALTER TABLE tally RENAME COLUMN timed_millis TO duration_sum_ms;
ALTER TABLE dead_letters RENAME COLUMN buried_at TO dead_lettered_at;
`, `
-- The way to change a constraint without copying the table, by
-- https://www.sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, 'status BETWEEN 0 AND 2', 'status BETWEEN 0 AND 4') WHERE name = 'orders';
PRAGMA writable_schema = RESET;

CREATE TABLE exceptions (
	seq          INTEGER PRIMARY KEY,
	status       INTEGER NOT NULL CHECK (status BETWEEN 0 AND 4),
	version      INTEGER NOT NULL CHECK (version > 1),
	attempt      INTEGER NOT NULL CHECK (attempt >= 0),
	reason       TEXT    NOT NULL,
	failed_at    INTEGER NOT NULL, -- milliseconds since 1970, 0 if unset
	cancelled_at INTEGER NOT NULL, -- milliseconds since 1970, 0 if unset
	history      TEXT    NOT NULL  -- JSON array of order.Event
) STRICT;

CREATE TABLE open_orders (
	seq INTEGER PRIMARY KEY
) STRICT;

ALTER TABLE tally ADD COLUMN failed    INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0);
ALTER TABLE tally ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0);
`}

// applicationID is the application id in the header of our files ("ORDS").
const applicationID = 0x4f524453

var schema = sqlitemigration.Schema{AppID: applicationID, Migrations: migrations}

// schemaVersion returns the schema version of a file, 0 if the file is empty. It returns ErrDamaged
// for the database of another program, and ErrNewer.
func schemaVersion(conn *sqlite.Conn) (int, error) {
	var got [3]int64
	for i, query := range []string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		var err error
		if got[i], err = queryInt(conn, query); err != nil {
			return 0, err
		}
	}
	application, version, objects := got[0], int(got[1]), got[2]
	switch {
	case application != applicationID && (application != 0 || objects > 0):
		return 0, ErrDamaged
	case version > len(migrations):
		return 0, fmt.Errorf("%w (schema %d; this one knows %d)", ErrNewer, version, len(migrations))
	}
	return version, nil
}
