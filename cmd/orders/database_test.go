package main

import (
	"flag"
	"fmt"
	"io"
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

func TestCheckReportsAGoodFile(t *testing.T) {
	db := goodFile(t)
	code, stdout, stderr := invoke(t, nil, "check", "--db", db)
	want := regexp.MustCompile(`^database      ` + regexp.QuoteMeta(db) + `
orders        1 \([01] Pending, [01] Processing, 0 Completed\)
timed         0, on average 0\.000 s from creation to completion
keys indexed  0
dead letters  0
ok
$`)
	if code != exitOK || !want.MatchString(stdout) || stderr != "" {
		t.Errorf("exit code %d\n%s%s\nwant 0 and\n%s", code, stdout, stderr, want)
	}
}

func TestCheckFailsWithFindings(t *testing.T) {
	db := goodFile(t)
	runSQL(t, db, "UPDATE tally SET completed = 7; UPDATE checkpoints SET seq = 1 << 62 WHERE name = 'keys'")
	code, stdout, stderr := invoke(t, map[string]string{"ORDERS_DB": db}, "check")
	if n := strings.Count(stdout, "\nfinding: "); code != exitFailed || n != 2 || strings.Contains(stdout, "\nok\n") {
		t.Errorf("exit code %d\n%s\nwant 1 and two findings", code, stdout)
	}
	if want := fmt.Sprintf("orders: %s: does not fit together, see the findings; "+
		"orders check --repair mends what does not concern an order itself\n", db); stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
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

// F23, I1: a backup neither replaces the files of a running service nor checkpoints its log, and the
// service goes on.
func TestABackupLeavesTheFilesOfARunningServiceAlone(t *testing.T) {
	db := newPath(t)
	s := start(t, db)
	for range 20 {
		s.mustCreate(t)
	}
	waitFor(t, "nothing is written any more", func() bool { return s.metrics(t).StatusCounts.Processing == 20 })
	before, content, log := filesOf(t, db), fingerprint(db), fingerprint(db+"-wal")
	for range 3 {
		if output, err := program(t, "backup", db+".backup", "--db", db).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
	}
	for i, after := range filesOf(t, db) {
		if !os.SameFile(before[i], after) {
			t.Errorf("%s was replaced", after.Name())
		}
	}
	if fingerprint(db) != content || fingerprint(db+"-wal") != log {
		t.Error("the database or its log was changed")
	}
	s.mustCreate(t)
	s.stop(t)
	if code, stdout, _ := invoke(t, nil, "check", "--db", db+".backup"); code != exitOK || !strings.Contains(stdout, "\norders        20 ") {
		t.Errorf("check of the backup: %s", stdout)
	}
}

func filesOf(t *testing.T, db string) (files []os.FileInfo) {
	t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		info, err := os.Stat(db + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, info)
	}
	return files
}

func TestBackupAndRestoreReportTheCopy(t *testing.T) {
	db := goodFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	report := func(file string) *regexp.Regexp {
		return regexp.MustCompile(`^database      ` + regexp.QuoteMeta(file) + "\norders        1 (?s:.*)\nok\n$")
	}
	code, stdout, stderr := invoke(t, nil, "backup", backup, "--db", db)
	if code != exitOK || stderr != "" || !report(backup).MatchString(stdout) {
		t.Errorf("backup: exit code %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = invoke(t, map[string]string{"ORDERS_DB": db}, "restore", backup)
	if code != exitOK || stderr != "" || !report(db).MatchString(stdout) {
		t.Errorf("restore: exit code %d, %s%s", code, stdout, stderr)
	}
}

func TestABackupWithFindingsFailsAndReportsThem(t *testing.T) {
	db := goodFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	runSQL(t, db, "UPDATE tally SET completed = 7")
	code, stdout, stderr := invoke(t, nil, "backup", "--db", db, backup)
	want := fmt.Sprintf("orders: the copy of %s does not fit together, see the findings; nothing was replaced\n", db)
	if code != exitFailed || !strings.Contains(stdout, "\nfinding: the tally has ") || stderr != want {
		t.Errorf("exit code %d, %s%s; want 1, a finding and %s", code, stdout, stderr, want)
	}
	if _, err := os.Stat(backup); err == nil {
		t.Error("there is a backup")
	}
}

func TestRepairReportsItsChanges(t *testing.T) {
	db := goodFile(t)
	runSQL(t, db, "UPDATE tally SET completed = 7")
	code, stdout, stderr := invoke(t, nil, "check", "--repair", "--db", db)
	want := regexp.MustCompile(`^missing: 7 orders that were acknowledged; .*
found: the tally has .*
backup: ` + regexp.QuoteMeta(db) + `\.before-repair-[0-9]{8}T[0-9]{6}Z
changed: tally: .* 7 Completed .* -> .* 0 Completed .*
(changed: .*\n)*database      .*
orders        1 (?s:.*)
ok
$`)
	if code != exitOK || stderr != "" || !want.MatchString(stdout) {
		t.Errorf("exit code %d\n%s%s\nwant 0 and\n%s", code, stdout, stderr, want)
	}
	code, stdout, _ = invoke(t, nil, "check", "--repair", "--db", db)
	if code != exitOK || !strings.HasPrefix(stdout, "database ") {
		t.Errorf("again: exit code %d\n%s", code, stdout)
	}
	runSQL(t, db, "UPDATE orders SET item_ids = '['")
	code, _, stderr = invoke(t, nil, "check", "--repair", "--db", db)
	if code != exitFailed || !strings.Contains(stderr, "which no repair touches") {
		t.Errorf("with an order that cannot be read: exit code %d\n%s", code, stderr)
	}
}

// F25: a signal ends a backup at once, and no partial file remains.
func TestABackupThatIsInterruptedLeavesNoTrace(t *testing.T) {
	db := largeFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	s := launch(t, program(t, "backup", backup, "--db", db))
	waitFor(t, "the copy has begun", func() bool { return len(partialFiles(t, backup)) > 0 })
	s.signal()
	go func() { _, _ = s.stdout.WriteTo(io.Discard) }()
	err := <-s.ended // nil if it was done already
	if left := partialFiles(t, backup); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if _, missing := os.Stat(backup); err != nil && missing == nil {
		t.Error("a backup was made by a command that failed")
	}
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
