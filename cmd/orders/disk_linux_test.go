package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// A disk is a small file system in a mount namespace, which does not need root. Only programs in the
// namespace see it.
type disk struct {
	t      *testing.T
	holder int    // the process that keeps the namespace open
	folder string // where it is mounted
}

// smallDisk makes an empty disk of so many megabytes. If the kernel does not allow that, the test is
// skipped, but fails if CI is set.
func smallDisk(t *testing.T, megabytes int) *disk {
	t.Helper()
	d := &disk{t: t, folder: t.TempDir()}
	const hold = `mount -t tmpfs -o size="$0"m tmpfs "$1" && echo mounted && read -r end`
	cmd := exec.CommandContext(t.Context(), "sh", "-c", hold, strconv.Itoa(megabytes), d.folder)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	cmd.Stderr = t.Output()
	_, stdinErr := cmd.StdinPipe() // at its end, the holder ends
	stdout, err := cmd.StdoutPipe()
	if err = errors.Join(err, stdinErr); err != nil {
		t.Fatal(err)
	}
	if err = cmd.Start(); err == nil {
		t.Cleanup(func() { _ = cmd.Wait() }) // it was killed
		_, err = bufio.NewReader(stdout).ReadString('\n')
	}
	switch {
	case err != nil && os.Getenv("CI") == "":
		t.Skipf("*** SKIPPED: no file system can be mounted in a namespace: %v ***", err)
	case err != nil:
		t.Fatalf("no file system can be mounted in a namespace: %v", err)
	}
	d.holder = cmd.Process.Pid
	return d
}

// db returns the path of the database for programs in the namespace.
func (d *disk) db() string { return filepath.Join(d.folder, "orders.db") }

// path returns the path of a file on the disk for all other programs.
func (d *disk) path(name string) string {
	return fmt.Sprintf("/proc/%d/root%s", d.holder, filepath.Join(d.folder, name))
}

// run changes a command so that it runs in the namespace.
func (d *disk) run(cmd *exec.Cmd) *exec.Cmd {
	d.t.Helper()
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		d.t.Fatal(err)
	}
	args := []string{nsenter, "--target", strconv.Itoa(d.holder), "--mount"}
	if os.Getuid() != 0 {
		args = append(args, "--user", "--preserve-credentials")
	}
	cmd.Args = append(append(args, "--", cmd.Path), cmd.Args[1:]...)
	cmd.Path = nsenter
	return cmd
}

// start runs `orders serve` on the database of the disk.
func (d *disk) start(t *testing.T, flags ...string) *service {
	t.Helper()
	return launch(t, d.run(serveProgram(t, d.db(), flags...))).ready(t, d.db())
}

// remount changes an option of the disk: "ro" or "rw".
func (d *disk) remount(option string) {
	d.t.Helper()
	cmd := d.run(exec.CommandContext(d.t.Context(), "mount", "-o", "remount,bind,"+option, d.folder))
	if output, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("remount: %v: %s", err, output)
	}
}

// fill creates a file that leaves so many bytes free.
func (d *disk) fill(name string, free int64) {
	d.t.Helper()
	var now syscall.Statfs_t
	if err := syscall.Statfs(d.path(""), &now); err != nil {
		d.t.Fatal(err)
	}
	ballast, err := os.Create(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	size := int64(now.Bavail)*now.Bsize - free
	if err := errors.Join(syscall.Fallocate(int(ballast.Fd()), 0, 0, size), ballast.Close()); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) remove(name string) {
	d.t.Helper()
	if err := os.Remove(d.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.t.Fatal(err)
	}
}

// F23, I1, I2, I3, I4, I9: while the disk is full, creates are refused and store nothing, and reads
// work. Once there is space, the refused orders are accepted, and the accepted ones are completed.
func TestFullDiskUnderLoadIsSurvived(t *testing.T) {
	d := smallDisk(t, 8)
	d.fill("ballast", 600<<10)
	s := d.start(t, "--processing-time", "500ms")

	const clients = 8
	ledgers := make([]*ledger, clients)
	var full, spaceAgain sync.WaitGroup
	for i := range ledgers {
		ledgers[i] = &ledger{service: s, prefix: fmt.Sprint("client-", i, "-")}
		full.Go(ledgers[i].createUntilRefused)
	}
	full.Wait()
	for _, l := range ledgers {
		l.checkReadable(t)
	}
	if res, err := s.get("/healthz"); err != nil || res.status != http.StatusServiceUnavailable {
		t.Errorf("healthz: %d, %v; want 503 while creates are refused", res.status, err)
	}
	before := s.metrics(t)
	if unfinished := before.TotalOrders - before.StatusCounts.Completed; unfinished == 0 {
		t.Error("no order waits for the disk: the test does not show that it is completed later")
	}

	d.remove("ballast")
	waitFor(t, "the service notices that there is space", func() bool {
		res, err := s.get("/healthz")
		return err == nil && res.status == http.StatusOK
	})
	for _, l := range ledgers {
		spaceAgain.Go(func() { l.createRefusedOne(t) })
	}
	spaceAgain.Wait()
	total := 0
	for _, l := range ledgers {
		total += len(l.ids)
	}
	s.awaitCompleted(t, total)
	for _, l := range ledgers {
		l.checkReadable(t)
	}
	s.stop(t)
	checkCompleted(t, d.run(program(t, "check", "--db", d.db())), total)
}

// F23, I1, I4: a service does not start on a disk that is full or read-only, reports that and changes
// nothing. A service that starts once the disk can be written completes the orders.
func TestDiskThatCannotBeWrittenAtTheStartIsSaid(t *testing.T) {
	for name, test := range map[string]struct {
		spoil, mend func(*disk)
		want        string
	}{
		"full":      {func(d *disk) { d.fill("ballast", 0) }, func(d *disk) { d.remove("ballast") }, "has no space left on its disk "},
		"read-only": {func(d *disk) { d.remount("ro") }, func(d *disk) { d.remount("rw") }, "cannot be "},
	} {
		t.Run(name, func(t *testing.T) {
			d := smallDisk(t, 4)
			refused := func() {
				t.Helper()
				test.spoil(d)
				checkRefused(t, d.run(serveProgram(t, d.db())), "orders: "+d.db()+": ", test.want)
			}
			if name == "full" {
				refused() // for a new file
				test.mend(d)
			}
			s := d.start(t, "--processing-time", "1s")
			s.mustCreate(t)
			s.stop(t)
			before := fingerprint(d.path("orders.db"))
			refused()
			if after := fingerprint(d.path("orders.db")); after != before {
				t.Errorf("the file was %s and is %s", before, after)
			}
			output, err := d.run(program(t, "check", "--db", d.db())).CombinedOutput()
			if name == "read-only" && (err != nil || !strings.Contains(string(output), "orders        1 (0 Pending, 1 Processing, 0 Completed, 0 Failed, 0 Cancelled)")) {
				t.Errorf("orders check: %v, %q; want a report of one order", err, output)
			}
			test.mend(d)
			s = d.start(t, "--processing-time", "1s")
			s.awaitCompleted(t, 1)
			s.stop(t)
			checkCompleted(t, d.run(program(t, "check", "--db", d.db())), 1)
		})
	}
}

// F23, I3, I5: a file that is mounted into two containers has one inode and one name, but two folders
// for its log and its lock. The second service is refused all the same.
func TestAFileThatIsMountedTwiceHasOneOwner(t *testing.T) {
	t.Parallel()
	d := smallDisk(t, 8)
	s := d.start(t)
	other := filepath.Join(d.folder, "other.db")
	mount := d.run(exec.CommandContext(t.Context(), "sh", "-c", `touch "$1" && mount --bind "$0" "$1"`, d.db(), other))
	if output, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	checkRefused(t, d.run(serveProgram(t, other)), "orders: ", "is in use by another process")
	s.mustCreate(t)
	s.stop(t)
}

// F23: the message names the full disk, which is not that of the copied file.
func TestABackupAndARestoreNameTheDiskThatIsFull(t *testing.T) {
	source, small := largeFile(t), smallDisk(t, 1)
	backup := filepath.Join(t.TempDir(), "backup.db")
	timed(t, program(t, "backup", backup, "--db", source))
	full := small.path("full.db")
	for _, args := range [][]string{{"backup", full, "--db", source}, {"restore", backup, "--db", full}} {
		checkRefused(t, small.run(program(t, args...)), "orders: ", "full.db: has no space left on its disk ")
	}
}

// I1: acknowledged orders survive a power failure. Between the arrival of an order and its 201 the
// write-ahead log is written, and then synced.
func TestAnOrderIsOnTheDiskBeforeItIsAcknowledged(t *testing.T) {
	trace, db := filepath.Join(t.TempDir(), "trace"), newPath(t)
	s := launch(t, traced(t, trace, serveProgram(t, db))).ready(t, db)
	const orders = 20
	for range orders {
		// Completed, so that nothing is written in the background.
		const body = `{"user_id":645,"item_ids":[1,2],"total_amount":1650.78,"status":"Completed"}`
		res, err := s.send("POST", "/api/orders/create/", body, "Content-Type", "application/json")
		if err != nil || res.status != http.StatusCreated {
			t.Fatal(res, err)
		}
	}
	s.stop(t)
	calls, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}

	if acknowledged := checkSynced(t, string(calls)); acknowledged != orders {
		t.Errorf("strace saw %d orders acknowledged, not %d", acknowledged, orders)
	}
}

// F22, I1, I4, I9: kill -9 at each write of the first start on a file of the release before: the next
// start finds all of its orders.
func TestAMigrationThatIsKilledLosesNothing(t *testing.T) {
	const orders = 5
	for write, killed := 1, true; killed; write++ {
		db := newPath(t)
		gunzip(t, "../../shared/sqlite/testdata/schema3.db.gz", db)
		cmd := traced(t, filepath.Join(t.TempDir(), "trace"), serveProgram(t, db))
		cmd.Args = slices.Insert(cmd.Args, 1, "-e", fmt.Sprintf("inject=pwrite64,fsync,fdatasync:signal=KILL:when=%d", write))
		cmd.Stderr = io.Discard // a warning of the next start is not
		s := launch(t, cmd)
		_, err := s.stdout.ReadString('\n')
		if killed = err != nil; !killed {
			s.kill(t)
		}
		startHere(t, db, "--fulfilment", "external").stop(t)
		if got := ordersIn(t, db); got != orders {
			t.Errorf("killed at write %d: %d orders, not %d", write, got, orders)
		}
		if !killed && write < 5 {
			t.Errorf("only %d starts were killed", write-1)
		}
	}
}

func gunzip(t *testing.T, from, to string) {
	t.Helper()
	file, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(unzipped)
	if err := errors.Join(err, os.WriteFile(to, content, 0o600)); err != nil {
		t.Fatal(err)
	}
}

// checkSynced checks the system calls of a service with one client, and returns the number of
// acknowledged orders.
func checkSynced(t *testing.T, calls string) (acknowledged int) {
	t.Helper()
	written, unsynced := false, false
	syncing := map[string]bool{} // the threads in a call that syncs the log
	for line := range strings.Lines(calls) {
		thread, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		switch {
		case strings.HasPrefix(call, "pwrite64(") && strings.Contains(call, "-wal>"):
			written, unsynced = true, true
		case startsSync.MatchString(call):
			syncing[thread] = true
		case strings.HasPrefix(call, "write(") && strings.Contains(call, `"HTTP/1.1 201 `):
			acknowledged++
			if !written || unsynced {
				t.Errorf("order %d is acknowledged; log written before: %t, and not synced: %t", acknowledged, written, unsynced)
			}
			written = false
		}
		if syncing[thread] && endsSync.MatchString(call) {
			syncing[thread], unsynced = false, false
		}
	}
	return acknowledged
}

// strace prints a call on one line, or on two if another thread interrupts it.
var (
	startsSync = regexp.MustCompile(`^f(data)?sync\(\d+<.*-wal>`)
	endsSync   = regexp.MustCompile(`f(data)?sync(\(| resumed>).*\) += 0$`)
)

// traced changes a command so that strace writes its writes and syncs to a file. If strace is missing
// or may not trace, the test is skipped, but fails if CI is set.
func traced(t *testing.T, file string, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	// With -D the process is our child, not that of strace, and so gets our signals.
	strace := []string{"strace", "-D", "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", file}
	try := exec.CommandContext(t.Context(), strace[0], append(strace[1:], "true")...)
	var output bytes.Buffer
	try.Stdout, try.Stderr = &output, &output // Run returns when strace has ended, too
	err := try.Run()
	calls, _ := os.ReadFile(file)
	switch works := err == nil && bytes.Contains(calls, []byte("+++ exited with 0 +++")); {
	case !works && os.Getenv("CI") == "":
		t.Skipf("*** SKIPPED: strace cannot trace: %v %s ***", err, &output)
	case !works:
		t.Fatalf("strace cannot trace: %v %s", err, &output)
	}
	cmd.Args = append(append(strace, "--", cmd.Path), cmd.Args[1:]...)
	cmd.Path = try.Path
	return cmd
}
