package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// F22, F23, I1, I9: an operator does what the docs say: a backup while the service runs, and after a
// crash, which leaves later orders in the log, the restore. The service then has the
// orders of the backup, and no others.
func TestTheDocsSayHowToBackUpAndRestore(t *testing.T) {
	folder, backedUp := crashAfterBackup(t)
	for _, command := range commandsIn(t, "One process: restore") {
		runIn(t, folder, command, exitOK)
	}
	serveOnly(t, folder, backedUp)
}

// F22, F23, I1, I9: a backup that is copied over the database by hand, beside the log of the
// crash, is refused by all commands, and the one that the message names mends it.
func TestABackupPutBackByHandIsRefusedAndRestoredAsTheMessageSays(t *testing.T) {
	folder, backedUp := crashAfterBackup(t)
	rewriteTo(t, filepath.Join(folder, "backup.db"), filepath.Join(folder, "orders.db"), 0o600)
	var said string
	for _, command := range []string{
		"orders check", "orders check --repair", "orders backup other.db", "orders serve --addr 127.0.0.1:0",
	} {
		if said = runIn(t, folder, command, exitFailed); !strings.Contains(said, "is not the file that its log was written for (orders.db-wal)") {
			t.Errorf("%s: %s", command, said)
		}
	}
	named := regexp.MustCompile(`orders restore BACKUP --db [^ .]+\.db`).FindString(said)
	runIn(t, folder, strings.Replace(named, "BACKUP", "backup.db", 1), exitOK)
	serveOnly(t, folder, backedUp)
}

// crashAfterBackup makes a backup of a service as the docs say, and then kills it behind some more
// orders, which are in its log. It returns the folder and the ids in the backup.
func crashAfterBackup(t *testing.T) (folder string, backedUp []string) {
	t.Helper()
	folder = t.TempDir()
	cmd := program(t, "serve", "--addr", "127.0.0.1:0")
	cmd.Dir = folder
	s := startOn(t, cmd)
	for n := range 200 {
		backedUp = append(backedUp, mustCreate(t, s, fmt.Sprint("before-", n)))
	}
	for _, command := range commandsIn(t, "One process: back up") {
		runIn(t, folder, command, exitOK)
	}
	for n := range 8 {
		mustCreate(t, s, fmt.Sprint("after-", n))
	}
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait()
	if info, err := os.Stat(filepath.Join(folder, "orders.db-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("the log is empty (%v): nothing is proved", err)
	}
	return folder, backedUp
}

// serveOnly serves the database in the folder, which is to have these orders and no others.
func serveOnly(t *testing.T, folder string, ids []string) {
	t.Helper()
	cmd := program(t, "serve", "--addr", "127.0.0.1:0")
	cmd.Dir = folder
	s := startOn(t, cmd)
	for _, id := range ids {
		if res, err := s.get("/api/orders/" + id + "/"); err != nil || res.status != http.StatusOK {
			t.Errorf("%s: %d %v", id, res.status, err)
		}
	}
	if m := s.metrics(t); m.TotalOrders != len(ids) {
		t.Errorf("metrics count %d orders, not %d", m.TotalOrders, len(ids))
	}
	s.end(t)
}

func mustCreate(t *testing.T, s *serviceProcess, key string) (id string) {
	t.Helper()
	res, err := s.create(key)
	if err != nil || res.status != http.StatusCreated {
		t.Fatalf("%s: %d %s %v", key, res.status, res.body, err)
	}
	return res.id
}

// commandsIn are the commands of orders in a section of docs/operations.md.
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

// runIn runs a command of orders in a folder, and returns all that it says.
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

// F23, I1: the files of a service that runs are its own: a backup neither replaces them nor brings its
// log into the database, and the service does not notice.
func TestABackupLeavesTheFilesOfARunningServiceAlone(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startOn(t, program(t, "serve", "--addr", "127.0.0.1:0", "--db", db))
	for n := range 20 {
		mustCreate(t, s, fmt.Sprint("order-", n))
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
	mustCreate(t, s, "one-more")
	s.end(t)
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

func TestBackupAndRestoreSayWhatTheyHaveCopied(t *testing.T) {
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

func TestABackupWithFindingsIsAnErrorThatNamesThem(t *testing.T) {
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

func TestRepairSaysWhatItHasDone(t *testing.T) {
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

// F25: a signal ends a backup as it ends the service: at once, and without a trace.
func TestABackupThatIsInterruptedLeavesNoTrace(t *testing.T) {
	db := largeFile(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	cmd := program(t, "backup", backup, "--db", db)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the copy has begun", func() bool { return len(partialFiles(t, backup)) > 0 })
	terminate(t, cmd)
	_ = cmd.Wait() // it may have been done already
	if left := partialFiles(t, backup); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if _, err := os.Stat(backup); cmd.ProcessState.ExitCode() == exitFailed && err == nil {
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
