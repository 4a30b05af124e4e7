package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"orders/shared/sqlite"
)

// reportOf is what a command prints about a good file of one order. $DB and $BACKUP stand for paths.
const reportOf = `orders        1 \([01] Pending, [01] Processing, 0 Completed, 0 Failed, 0 Cancelled\)
timed         0, on average 0\.000 s from creation to completion
keys indexed  0
dead letters  0
ok
`

func TestCommandsReportWhatTheyFindAndDo(t *testing.T) {
	const wrong = "UPDATE tally SET completed = 7"
	for _, test := range []struct {
		name, script   string // changes a good file
		args           string
		code           int
		stdout, stderr string // regular expressions
	}{
		{"check", "", "check --db $DB", exitOK, "database      $DB\n" + reportOf, ""},
		{"backup", "", "backup $BACKUP --db $DB", exitOK, "database      $BACKUP\n" + reportOf, ""},
		{"restore", "", "restore $BACKUP --db $DB", exitOK, "database      $DB\n" + reportOf, ""},
		{
			"check with findings", wrong + "; UPDATE checkpoints SET seq = 1 << 62 WHERE name = 'keys'", "check --db $DB", exitFailed,
			"database (.*\n)+dead letters  0\nfinding: .*\nfinding: .*\n",
			"orders: $DB: does not fit together, see the findings; orders check --repair mends what does not concern an order itself\n",
		},
		{
			"backup with findings", wrong, "backup --db $DB $BACKUP-2", exitFailed, "database (.*\n)+finding: the tally has .*\n",
			"orders: the copy of $DB does not fit together, see the findings; nothing was replaced\n",
		},
		{"repair", wrong, "check --repair --db $DB", exitOK, `missing: 7 orders that were acknowledged; .*
found: the tally has .*
backup: $DB\.before-repair-[0-9]{8}T[0-9]{6}Z
changed: tally: .* 7 Completed, .* -> .* 0 Completed, .*
(changed: .*\n)*database      $DB
` + reportOf, ""},
		{"repair of a good file", "", "check --repair --db $DB", exitOK, "database      $DB\n" + reportOf, ""},
		{"repair of an order", "UPDATE orders SET item_ids = '['", "check --repair --db $DB", exitFailed, "(.*\n)*", ".* which no repair touches: .*\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := goodFile(t)
			backup := filepath.Join(t.TempDir(), "backup.db")
			timed(t, program(t, "backup", backup, "--db", db))
			runSQL(t, db, test.script)
			expand := strings.NewReplacer("$DB", db, "$BACKUP", backup).Replace
			code, stdout, stderr := invoke(t, nil, strings.Fields(expand(test.args))...)
			if code != test.code || !regexp.MustCompile("^"+expand(test.stdout)+"$").MatchString(stdout) ||
				!regexp.MustCompile("^"+expand(test.stderr)+"$").MatchString(stderr) {
				t.Errorf("exit code %d, want %d\n%s%s\nwant\n%s%s", code, test.code, stdout, stderr, test.stdout, test.stderr)
			}
			if _, err := os.Stat(backup + "-2"); err == nil {
				t.Error("a backup with findings was made")
			}
		})
	}
}

// F22, F23, I1, I9: an operator follows the docs, with a backup while the service runs, and a restore
// after a crash that leaves later orders in the log. The service then has only the orders of the
// backup.
func TestTheDocsSayHowToBackUpAndRestore(t *testing.T) {
	folder, backedUp := crashAfterBackup(t)
	for _, command := range commandsIn(t, "One process: restore") {
		runIn(t, folder, command, exitOK)
	}
	serveOnly(t, folder, backedUp)
}

// F22, F23, I1, I9: all commands refuse a backup that was copied over the database by hand, because
// the log of the crash does not belong to it. The command in the message repairs that.
func TestABackupPutBackByHandIsRefusedAndRestoredAsTheMessageSays(t *testing.T) {
	folder, backedUp := crashAfterBackup(t)
	rewriteTo(t, filepath.Join(folder, "backup.db"), filepath.Join(folder, "orders.db"), 0o600)
	var output string
	for _, command := range []string{
		"orders check", "orders check --repair", "orders backup other.db", "orders serve --addr 127.0.0.1:0",
	} {
		if output = runIn(t, folder, command, exitFailed); !strings.Contains(output, foreignLog+" (orders.db-wal)") {
			t.Errorf("%s: %s", command, output)
		}
	}
	named := regexp.MustCompile(`orders restore BACKUP --db [^ .]+\.db`).FindString(output)
	runIn(t, folder, strings.Replace(named, "BACKUP", "backup.db", 1), exitOK)
	serveOnly(t, folder, backedUp)
}

// crashAfterBackup makes a backup of a service as the docs say, creates more orders, which are in its
// log, and kills it. It returns the folder and the ids in the backup.
func crashAfterBackup(t *testing.T) (folder string, backedUp []string) {
	t.Helper()
	folder = t.TempDir()
	s := startIn(t, folder)
	for range 200 {
		backedUp = append(backedUp, s.mustCreate(t))
	}
	for _, command := range commandsIn(t, "One process: back up") {
		runIn(t, folder, command, exitOK)
	}
	for range 8 {
		s.mustCreate(t)
	}
	s.kill(t)
	if info, err := os.Stat(filepath.Join(folder, "orders.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("the log is empty (%v): the test shows nothing", err)
	}
	return folder, backedUp
}

// startIn runs `orders serve` in a folder, with the default name of the database.
func startIn(t *testing.T, folder string) *service {
	t.Helper()
	cmd := program(t, "serve", "--addr", "127.0.0.1:0")
	cmd.Dir = folder
	return launch(t, cmd).ready(t, "orders.db")
}

// serveOnly serves the database in the folder, which must have these orders and no others.
func serveOnly(t *testing.T, folder string, ids []string) {
	t.Helper()
	s := startIn(t, folder)
	for _, id := range ids {
		s.checkOrder(t, id)
	}
	if m := s.metrics(t); m.TotalOrders != len(ids) {
		t.Errorf("metrics count %d orders, not %d", m.TotalOrders, len(ids))
	}
	s.stop(t)
}

// commandsIn returns the orders commands in a section of docs/operations.md.
func commandsIn(t *testing.T, section string) (commands []string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(content), "\n## "+section+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	for line := range strings.Lines(text) {
		if command := strings.TrimSpace(line); strings.HasPrefix(line, "    ") && strings.HasPrefix(command, "orders ") {
			commands = append(commands, command)
		}
	}
	if len(commands) == 0 {
		t.Fatalf("docs/operations.md has no command under %q", section)
	}
	return commands
}

// runIn runs an orders command in a folder, and returns its output.
func runIn(t *testing.T, folder, command string, code int) string {
	t.Helper()
	cmd := program(t, strings.Fields(command)[1:]...)
	cmd.Dir = folder
	output, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("%s: exit code %d, not %d: %s", command, got, code, output)
	}
	return string(output)
}

func partialFiles(t *testing.T, dest string) []string {
	t.Helper()
	files, err := filepath.Glob(dest + ".partial-*")
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// kills is how often each test below kills its process.
var kills = flag.Int("kills", 10, "how often to kill a backup, and a restore")

// largeFile makes a database of 2 MB, which takes several steps to copy.
func largeFile(t *testing.T) (db string) {
	t.Helper()
	db = goodFile(t)
	runSQL(t, db, `
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
		INSERT INTO dead_letters (dead_lettered_at, body, reason) SELECT i, randomblob(1000), 'nonsense' FROM n`)
	return db
}

// F22, I1: a backup that is killed at any moment leaves the last backup or a complete new one, and the
// service goes on.
func TestKilledBackupsLeaveTheLastOneOrTheNewOne(t *testing.T) {
	db := largeFile(t)
	dest := filepath.Join(t.TempDir(), "backup.db")
	s := start(t, db)
	backup := func() *exec.Cmd { return program(t, "backup", dest, "--db", db) }
	longest := timed(t, backup())
	last, made := ordersIn(t, dest), 0
	for range *kills {
		s.mustCreate(t)
		killWithin(t, backup(), longest)
		switch got, now := ordersIn(t, dest), s.metrics(t).TotalOrders; got {
		case last:
		case now:
			last, made = now, made+1
		default:
			t.Errorf("the backup has %d orders, neither the %d of the last one nor the %d that there are", got, last, now)
		}
	}
	t.Logf("%d of %d backups were made before the kill", made, *kills)
	timed(t, backup())
	if left := partialFiles(t, dest); len(left) > 0 {
		t.Errorf("a backup has not removed the partial files of the killed ones: %q", left)
	}
	s.stop(t)
}

// F22, I1: a restore that is killed at any moment leaves the old file with all its orders, also those in
// the log of a crash, or the new file.
func TestKilledRestoresLeaveTheOldFileOrTheNewOne(t *testing.T) {
	source := largeFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	timed(t, program(t, "backup", backup, "--db", source))
	old := crashedFile(t, source)
	attempt := func() (db string, cmd *exec.Cmd) {
		db = filepath.Join(t.TempDir(), "orders.db")
		for _, suffix := range []string{"", "-wal", ".lock"} {
			rewriteTo(t, old+suffix, db+suffix, 0o600)
		}
		return db, program(t, "restore", backup, "--db", db)
	}
	db, cmd := attempt()
	longest := timed(t, cmd)
	if n := ordersIn(t, db); n != 1 {
		t.Fatalf("%d orders are restored, not 1", n)
	}
	restored := 0
	for range *kills {
		db, cmd := attempt()
		killWithin(t, cmd, longest)
		switch got := ordersIn(t, db); got {
		case 1:
			restored++
		case 6:
		default:
			t.Errorf("there are %d orders, neither the 6 of the old file nor the one of the new", got)
		}
		timed(t, program(t, "restore", backup, "--db", db))
		if left := partialFiles(t, db); len(left) > 0 {
			t.Errorf("a restore has not removed the partial files of the killed one: %q", left)
		}
	}
	t.Logf("%d of %d restores were done before the kill", restored, *kills)
}

// crashedFile returns a copy of a database after a crash, with five more orders in its log only.
func crashedFile(t *testing.T, db string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "orders.db")
	rewriteTo(t, db, path, 0o600)
	s := start(t, path)
	for range 5 {
		s.mustCreate(t)
	}
	s.kill(t)
	return path
}

// timed runs a command and returns how long that took.
func timed(t *testing.T, cmd *exec.Cmd) time.Duration {
	t.Helper()
	began := time.Now()
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("orders %q: %v: %s", cmd.Args[1:], err, output)
	}
	return time.Since(began)
}

// killWithin kills a command at a random moment.
func killWithin(t *testing.T, cmd *exec.Cmd, longest time.Duration) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(rand.N(longest))
	_ = cmd.Process.Kill() // unless it was done
	_ = cmd.Wait()
}

// ordersIn returns how many orders are in a database, which must have no findings.
func ordersIn(t *testing.T, db string) int {
	t.Helper()
	report, err := sqlite.Check(t.Context(), db)
	if err != nil || len(report.Findings) > 0 {
		entries, _ := os.ReadDir(filepath.Dir(db))
		t.Fatalf("%v %q, in a folder with %v", err, report.Findings, entries)
	}
	return int(report.Tally.Total())
}
