package main

import (
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func TestCommandLine(t *testing.T) {
	tests := []struct {
		name           string
		args           string
		code           int
		stdout, stderr string // how it begins
	}{
		{"lists the commands if there is none", "", 2, "", "orders: expected one of \"serve\", \"backup\", \"restore\", \"check\", \"cancel\", ...\nTry: orders --help\n"},
		{"refuses another command", "server", 2, "", "orders: unexpected argument server, did you mean \"serve\"?\nTry: orders --help\n"},
		{"refuses a flag before the command", "--db x serve", 2, "", "orders: unknown flag --db"},
		{"refuses another flag", "serve --port 80", 2, "", "orders: unknown flag --port\nTry: orders --help\n"},
		{"refuses a flag of another command", "check --addr :80", 2, "", "orders: unknown flag --addr"},
		{"refuses to repair in a backup", "backup a --repair", 2, "", "orders: unknown flag --repair\nTry: orders --help\n"},
		{"refuses another argument", "check orders.db", 2, "", "orders: unexpected argument orders.db"},
		{"refuses a second argument", "backup a b", 2, "", "orders: unexpected argument b"},
		{"requires the file to write a backup to", "backup --db x", 2, "", "orders: expected \"<DEST>\"\nTry: orders --help\n"},
		{"requires the backup to restore", "restore", 2, "", "orders: expected \"<SRC>\"\nTry: orders --help\n"},
		{"takes flags on both sides of the argument", "backup --db missing.db copy.db --db gone.db", 1, "", "orders: gone.db: no such file or directory\n"},
		{"refuses a backup in memory", "backup :memory:", 2, "", "orders: DEST must be the path of a file, such as backup.db, not \":memory:\"\n"},
		{"refuses to restore a URI", "restore file:x", 2, "", "orders: SRC must be the path of a file, such as backup.db, not \"file:x\"\n"},
		{"checks the database of each command", "restore x --db=:memory:", 2, "", "orders: --db (ORDERS_DB) must be the path of a file on disk"},
		{"requires a value for a flag", "serve --db", 2, "", "orders: --db: expected string value"},
		{"requires the order to cancel", "cancel", 2, "", "orders: expected \"<order-id>\"\nTry: orders --help\n"},
		{"requires the address of a service", "cancel x --api localhost:8000", 2, "", "orders: --api (ORDERS_API) must be a URL such as http://127.0.0.1:8000, not \"localhost:8000\"\nTry: orders --help\n"},
		{"knows orders by their ids", "cancel x", 1, "", "orders: order not found\n"},
		{"prints its version", "--version", 0, "orders dev (go1.", ""},
		{"prints its version as a command", "version", 0, "orders dev (go1.", ""},
		{"prints help", "--help", 0, "Usage: orders <command>\n", ""},
		{"prints help with -h", "-h", 0, "Usage: orders <command>\n", ""},
		{"prints help as a command", "help", 0, "Usage: orders <command>\n", ""},
		{"prints help of a command", "serve --help", 0, "Usage: orders serve [flags]\n", ""},
		{"prints help with wrong settings", "check --db= -h", 0, "Usage: orders check [flags]\n", ""},
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

func TestHelpNamesVariablesAndDefaults(t *testing.T) {
	_, help, _ := invoke(t, map[string]string{"ORDERS_DB": "other.db"}, "serve", "--help")
	help = strings.Join(strings.Fields(help), " ")
	for _, want := range []string{"($ORDERS_DB, default orders.db).", "($LOG_LEVEL, default info).", "($ORDERS_TRUSTED_HOSTS)."} {
		if !strings.Contains(help, want) {
			t.Errorf("no %q in\n%s", want, help)
		}
	}
}

func TestFlagsGoBeforeVariablesAndVariablesBeforeDefaults(t *testing.T) {
	env := map[string]string{
		"ORDERS_ADDR": ":81", "ORDERS_TRUSTED_HOSTS": "a,b", "ORDERS_DB": "env.db", "PROCESSING_TIME": "1s", "LOG_LEVEL": "warn", "LOG_FORMAT": "json",
	}
	empty := map[string]string{"ORDERS_ADDR": "", "ORDERS_DB": "", "PROCESSING_TIME": "", "LOG_LEVEL": "", "LOG_FORMAT": ""}
	flags := []string{
		"--addr", "localhost:82", "--trusted-host", "c", "--trusted-host=d,e", "--db", "other.db", "--db=flag.db",
		"--processing-time", "2ms", "--log-level", "DEBUG", "--log-format", "text",
	}
	for _, tt := range []struct {
		env   map[string]string
		flags []string
		want  serveCommand
	}{
		{nil, nil, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "50s", "timer", "5m", 5, "info", ""}},
		{empty, nil, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "50s", "timer", "5m", 5, "info", ""}},
		{env, nil, serveCommand{":81", []string{"a,b"}, databaseFlag{"env.db"}, "1s", "timer", "5m", 5, "warn", "json"}},
		{env, flags, serveCommand{"localhost:82", []string{"c", "d,e"}, databaseFlag{"flag.db"}, "2ms", "timer", "5m", 5, "DEBUG", "text"}},
		{nil, []string{"--processing-time=1ms"}, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "1ms", "timer", "5m", 5, "info", ""}},
		{nil, []string{"--processing-time=15m"}, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "15m", "timer", "5m", 5, "info", ""}},
		{map[string]string{"FULFILMENT": "external", "ATTEMPT_TIMEOUT": "15m", "MAX_ATTEMPTS": "100"}, nil, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "50s", "external", "15m", 100, "info", ""}},
		{nil, []string{"--fulfilment=external", "--attempt-timeout=1ms", "--max-attempts=1"}, serveCommand{"127.0.0.1:8000", nil, databaseFlag{"orders.db"}, "50s", "external", "1ms", 1, "info", ""}},
	} {
		var line commands
		_, err := parse(&line, append([]string{"serve"}, tt.flags...), func(name string) string { return tt.env[name] })
		if err != nil || !reflect.DeepEqual(line.Serve, tt.want) {
			t.Errorf("%v with %v: %+v, %v; want %+v", tt.flags, tt.env, line.Serve, err, tt.want)
		}
	}
}

func TestALogHasTheLevelsFromItsOwnUpwards(t *testing.T) {
	for level, want := range map[string]slog.Level{"DEBUG": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn} {
		log := (&serveCommand{LogLevel: level}).newLogger(io.Discard)
		if !log.Enabled(t.Context(), want) || log.Enabled(t.Context(), want-1) {
			t.Errorf("the log of level %s does not begin with %s", level, want)
		}
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	for name, values := range map[string][]string{
		"addr":            {"8000", "localhost", "localhost:", ":http", ":65536", ":-1", "a:b:1"},
		"trusted-host":    {"shop.example:443", "https://shop.example", "a b", "*.shop.example", ",", "a,", ".", "é"},
		"db":              {"", ":memory:", "file::memory:", "file:orders.db", "file:orders.db?mode=memory&cache=shared"},
		"processing-time": {"", "50", "0s", "-1s", "999us", "15m1ms", "soon"},
		"fulfilment":      {"", "Timer", "worker"},
		"attempt-timeout": {"", "5", "0s", "-1s", "999us", "15m1ms", "soon"},
		"max-attempts":    {"-1", "0", "101"},
		"log-level":       {"", "loud", "2"},
		"log-format":      {"xml", "JSON"},
	} {
		for _, value := range values {
			// parse alone, because a setting that is not refused would be served.
			_, err := parse(&commands{}, []string{"serve", "--" + name + "=" + value}, func(string) string { return "" })
			var stderr strings.Builder
			code := exitCode(err, &stderr)
			if code != exitUsage || !strings.HasPrefix(stderr.String(), "orders: --"+name+" (") || !strings.HasSuffix(stderr.String(), ", not \""+value+"\"\nTry: orders --help\n") {
				t.Errorf("--%s %q: exit code %d, %s; want 2 and an error that names both", name, value, code, &stderr)
			}
		}
	}
}

func TestAllBadSettingsAreReportedTogether(t *testing.T) {
	env := map[string]string{
		"ORDERS_ADDR": "here", "PROCESSING_TIME": "50", "FULFILMENT": "workers", "ATTEMPT_TIMEOUT": "1h", "MAX_ATTEMPTS": "101", "LOG_FORMAT": "xml",
	}
	code, _, stderr := invoke(t, env, "serve", "--log-level", "loud", "--db", "")
	want := `orders: --addr (ORDERS_ADDR) must be host:port, such as 127.0.0.1:8000, not "here"
orders: --db (ORDERS_DB) must be the path of a file on disk, such as orders.db (":memory:" would lose all orders with the process, "file:" begins a URI), not ""
orders: --processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not "50"
orders: --fulfilment (FULFILMENT) must be timer or external, not "workers"
orders: --attempt-timeout (ATTEMPT_TIMEOUT) must be from 1ms to 15m, such as 5m, not "1h"
orders: --max-attempts (MAX_ATTEMPTS) must be from 1 to 100, not "101"
orders: --log-level (LOG_LEVEL) must be debug, info, warn or error, not "loud"
orders: --log-format (LOG_FORMAT) must be text or json, not "xml"
Try: orders --help
`
	if code != exitUsage || stderr != want {
		t.Errorf("exit code %d and\n%s\nwant 2 and\n%s", code, stderr, want)
	}
}

func TestACommandIgnoresTheVariablesOfOthers(t *testing.T) {
	env := map[string]string{"ORDERS_ADDR": "here", "PROCESSING_TIME": "50", "LOG_FORMAT": "xml"}
	if code, _, stderr := invoke(t, env, "check", "--db", "missing.db"); code != exitFailed || stderr != "orders: missing.db: no such file or directory\n" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
