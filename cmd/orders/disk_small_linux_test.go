package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// A disk is a small file system of its own. It is mounted where only the programs
// see it that run on it, in a mount namespace, for which root is not needed.
type disk struct {
	t      *testing.T
	holder int    // the process that keeps the namespace
	folder string // where it is mounted
}

// smallDisk makes an empty disk for so many megabytes. Where the kernel does not
// allow that, the test is skipped, and fails where CI is set.
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

// db is the path of the database for programs on the disk.
func (d *disk) db() string { return filepath.Join(d.folder, "orders.db") }

// path is that of a file on the disk for everybody else.
func (d *disk) path(name string) string {
	return fmt.Sprintf("/proc/%d/root%s", d.holder, filepath.Join(d.folder, name))
}

// run makes a command one that runs on the disk.
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

// remount changes an option of the disk: "ro" or "rw".
func (d *disk) remount(option string) {
	d.t.Helper()
	cmd := d.run(exec.CommandContext(d.t.Context(), "mount", "-o", "remount,bind,"+option, d.folder))
	if output, err := cmd.CombinedOutput(); err != nil {
		d.t.Fatalf("remount: %v: %s", err, output)
	}
}

// fill leaves so many bytes free, by a file of that name.
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
