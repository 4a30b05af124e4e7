// Package sqlite keeps orders in one SQLite file and works them off in the same
// process: store, queue and worker of the embedded home.
//
// # Promises
//
// What is acknowledged is on the disk (WAL, synchronous=FULL). A transition, its
// tally and what follows from it are one commit, so every effect happens once,
// whatever moment the process dies at. Reads see committed state only and never
// wait for the writer. One process owns the file; a second one is refused.
//
// # How it works
//
// One goroutine, the writer, makes all changes. It takes whatever waits, new
// orders and due transitions, and commits that as one transaction: a group
// commit (see writer.go). Orders are acknowledged after it.
//
// There is no table of messages. An unfinished order is its own message:
// order.Change{New: &o}.Next says what it waits for, so a restart reads the
// queue off the orders above the checkpoint "finished" (see queue.go).
//
// # Schema
//
//	orders        seq, id, client_reference, user_id, item_ids, total_amount,
//	              fingerprint, status, started_at, completed_at
//	keys          id, seq: where the orders with an idempotency key are
//	tally         one row: the sum of Change.Tally over all commits
//	checkpoints   "finished": every order up to this seq is Completed
//	              "keys": every keyed order up to this seq is in keys
//	dead_letters  messages that can never succeed, and of orders that cannot be read
//	generation    one row: which life of the file its log belongs to (see generation.go)
//	probe         what was written to see whether the disk has room again (see health.go)
//
// seq is the primary key and the order of creation: created_at in milliseconds,
// 15 bits of counter, given in commit order, never given again once committed.
// Inserts append, and listing, cursor and creation time need no index and no column
// of their own. It is also the leading 63 bits of the id's ULID: such an id leads to its row by
// itself. The id of an idempotency key is a hash, and keys leads to its row; that
// table is filled in sorted batches a little behind the orders (see keys.go).
package sqlite

import "zombiezen.com/go/sqlite/sqlitemigration"

// migrations[n] takes a file from schema version n to n+1. The version is
// PRAGMA user_version. What has been released is never edited, only added to.
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
	started_at       INTEGER NOT NULL, -- milliseconds since 1970, or unset (see row.go)
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
`}

// applicationID marks a file as ours in SQLite's header ("ORDS").
const applicationID = 0x4f524453

var schema = sqlitemigration.Schema{AppID: applicationID, Migrations: migrations}
