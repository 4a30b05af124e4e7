package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

const damaged = "is damaged, or is not a database of orders: restore a backup (orders restore), or name another file"

// F23: the tests of shared/sqlite have more such files.
func TestUnusableFileIsRefusedAndNotTouched(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(t *testing.T, db string) // changes a good file
		want  string
	}{
		"noise":     {func(t *testing.T, db string) { rewrite(t, db, allNoise) }, damaged},
		"locked":    {func(t *testing.T, db string) { runSQL(t, db, lockScript) }, "is in use by another process"},
		"no folder": {func(t *testing.T, db string) { removeAll(t, filepath.Dir(db)) }, "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			db := goodFile(t)
			test.spoil(t, db)
			before := fingerprint(db)
			code, stdout, stderr := invoke(t, nil, "serve", "--addr", "127.0.0.1:0", "--db", db)
			if code != exitFailed || stdout != "" {
				t.Errorf("exit code %d, stdout %q; want 1 and nothing", code, stdout)
			}
			if !strings.HasPrefix(stderr, "orders: "+db+": ") || !strings.Contains(stderr, test.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("stderr %q; want one line with the file and %q", stderr, test.want)
			}
			if fingerprint(db) != before {
				t.Error("the file was changed")
			}
		})
	}
}

// F1, F23.
func TestFileThatMustNotBeWrittenIsRefused(t *testing.T) {
	tests := []struct {
		name         string
		file, folder os.FileMode
		want         string
	}{
		{"a file to read only", 0o444, 0o777, "cannot be written: the file or its disk is read-only"},
		{"a file without permission to read", 0o000, 0o777, "permission denied"},
		{"a folder to read only", 0o666, 0o555, "permission denied"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			folder := publicFolder(t)
			db := filepath.Join(folder, "orders.db")
			rewriteTo(t, goodFile(t), db, test.file)
			before := fingerprint(db)
			if err := os.Chmod(folder, test.folder); err != nil {
				t.Fatal(err)
			}
			checkRefused(t, asOrdinaryUser(t, serveProgram(t, db)), "orders: "+db+": ", test.want)
			if fingerprint(db) != before {
				t.Error("the file was changed")
			}
		})
	}
}

// asOrdinaryUser changes a command so that it does not run as the superuser, whom no permission stops.
func asOrdinaryUser(t *testing.T, cmd *exec.Cmd) *exec.Cmd {
	t.Helper()
	if os.Getuid() != 0 {
		return cmd
	}
	const nobody = 65534
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	copied := filepath.Join(publicFolder(t), "orders") // only its owner can read the test binary
	rewriteTo(t, cmd.Path, copied, 0o755)
	cmd.Path, cmd.Args[0] = copied, copied
	cmd.Dir = "/"
	return cmd
}

// publicFolder is a temporary folder that every user can write to.
func publicFolder(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "orders-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(folder, 0o700), os.RemoveAll(folder)); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	return folder
}

// goodFile makes a database with one order, in a folder of its own.
func goodFile(t *testing.T) (db string) {
	t.Helper()
	db = filepath.Join(t.TempDir(), "orders", "orders.db")
	if err := os.Mkdir(filepath.Dir(db), 0o755); err != nil {
		t.Fatal(err)
	}
	s := startHere(t, db)
	s.mustCreate(t)
	s.stop(t)
	return db
}

// fingerprint returns the size and the hash of a file, or the error.
func fingerprint(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d bytes %x", len(content), sha256.Sum256(content))
}

// rewrite changes the content of a file in place.
func rewrite(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(content), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func nothing([]byte) []byte    { return nil }
func half(b []byte) []byte     { return b[:len(b)/2] }
func allNoise(b []byte) []byte { _, _ = rand.Read(b); return b }
func noiseAfterFirstPage(b []byte) []byte {
	const page = 4096
	return append(b[:page:page], allNoise(b[page:])...)
}

// rewriteTo copies a file and gives the copy that mode.
func rewriteTo(t *testing.T, from, to string, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = errors.Join(os.WriteFile(to, content, 0o644), os.Chmod(to, mode))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func removeAll(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// runSQL runs a script. The connection, and with it a lock, lasts until the end of the test.
func runSQL(t *testing.T, db, script string) {
	t.Helper()
	if err := sqlitex.ExecScript(connect(t, db), script); err != nil {
		t.Fatal(err)
	}
}

// connect opens a file as another program may, for the time of the test.
func connect(t *testing.T, db string) *sqlite.Conn {
	t.Helper()
	conn, err := sqlite.OpenConn(db, sqlite.OpenReadWrite|sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// After the superuser has checked or served a file, the service of its owner still starts.
func TestTheSuperuserStandsInNobodysWay(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("*** SKIPPED: only the superuser can show this ***")
	}
	db := filepath.Join(publicFolder(t), "orders.db")
	serveAsUser := func() {
		t.Helper()
		launch(t, asOrdinaryUser(t, serveProgram(t, db))).ready(t, db).stop(t)
	}
	serveAsUser()
	removeAll(t, db+".lock")
	if output, err := program(t, "check", "--db", db).CombinedOutput(); err != nil {
		t.Errorf("check: %v, %s", err, output)
	}
	serveAsUser()
	removeAll(t, db+".lock")
	start(t, db).stop(t)
	serveAsUser()
}
