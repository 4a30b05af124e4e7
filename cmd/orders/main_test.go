package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// asProgram is the variable that makes the test binary be the program, for what
// only a process of its own can show: signals, and other users.
const asProgram = "ORDERS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is the command with these arguments, to be run as a process.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// invoke runs the command in this process, as a person would type it.
func invoke(t *testing.T, env map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	getenv := func(name string) string { return env[name] }
	code = exitCode(run(t.Context(), args, getenv, &out, &errs), &errs)
	return code, out.String(), errs.String()
}

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name           string
		args           string
		code           int
		stdout, stderr string // what it begins with
	}{
		{"asks which command", "", 2, "", "orders: the command is missing: serve, backup, restore or check\nTry: orders --help\n"},
		{"knows no other command", "server", 2, "", "orders: there is no command \"server\"\nTry: orders --help\n"},
		{"takes flags after the command only", "--db x serve", 2, "", `orders: there is no command "--db"`},
		{"knows no other flag", "serve --port 80", 2, "", "orders: flag provided but not defined: -port\nTry: orders --help\n"},
		{"has only the flag that checking needs", "check --addr :80", 2, "", "orders: flag provided but not defined: -addr"},
		{"takes no further argument", "check orders.db", 2, "", `orders: unexpected argument "orders.db"`},
		{"wants the file to write a backup to", "backup --db x", 2, "", "orders: DEST must be the path of a file, such as backup.db\nTry: orders --help\n"},
		{"wants the backup to restore", "restore", 2, "", "orders: SRC must be the path of a file, such as backup.db\nTry: orders --help\n"},
		{"takes flags before and behind the argument", "backup --db missing.db copy.db --db gone.db", 1, "", "orders: gone.db: no such file or directory\n"},
		{"takes one argument only", "backup a b", 2, "", `orders: unexpected argument "b"`},
		{"repairs nothing but what it has checked", "backup a --repair", 2, "", "orders: flag provided but not defined: -repair\nTry: orders --help\n"},
		{"makes no backup that is gone with the command", "backup :memory:", 2, "", "orders: DEST must be the path of a file"},
		{"wants a value for a flag", "serve --db", 2, "", "orders: flag needs an argument: -db"},
		{"tells its version", "--version", 0, "orders dev (go1.", ""},
		{"tells its version as a command", "version", 0, "orders dev (go1.", ""},
		{"helps", "--help", 0, usage, ""},
		{"helps for short", "-h", 0, usage, ""},
		{"helps as a command", "help", 0, usage, ""},
		{"helps after a command", "serve --help", 0, usage, ""},
		{"helps whatever else is said", "check --db x -h", 0, usage, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code, stdout, stderr := invoke(t, nil, strings.Fields(test.args)...)
			if code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if !strings.HasPrefix(stdout, test.stdout) || test.stdout == "" && stdout != "" {
				t.Errorf("stdout %q, want %q", stdout, test.stdout)
			}
			if !strings.HasPrefix(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("stderr %q, want %q", stderr, test.stderr)
			}
		})
	}
}

func TestHelpNamesEverySetting(t *testing.T) {
	for name, command := range commands {
		if !strings.Contains(usage, "\n  orders "+name+" ") {
			t.Errorf("no line for orders %s", name)
		}
		for name := range command.switches {
			if !strings.Contains(usage, " [--"+name+"]\n") {
				t.Errorf("nothing about --%s", name)
			}
		}
		for _, s := range command.settings {
			line := ""
			for l := range strings.Lines(usage) {
				if strings.HasPrefix(l, "  --"+s.flag+" ") {
					line = l
				}
			}
			if !strings.Contains(line, " "+s.variable+" ") {
				t.Errorf("no line for --%s with %s", s.flag, s.variable)
			}
			if !strings.Contains(usage, "("+s.fallback) {
				t.Errorf("the default of --%s, %s, is not there", s.flag, s.fallback)
			}
		}
	}
}

func TestProcessEndsWithTheExitCode(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "orders.db")
	for code, args := range [][]string{{"--version"}, {"check", "--db", missing}, {"check", "--nonsense"}} {
		cmd := program(t, args...)
		_ = cmd.Run() // its error is the exit code
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("orders %q: exit code %d, want %d", args, got, code)
		}
	}
}
