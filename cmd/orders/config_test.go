package main

import (
	"log/slog"
	"strings"
	"testing"
	"time"
)

func parseServe(env map[string]string, args ...string) (config, error) {
	return parseConfig(commands["serve"], args, func(name string) string { return env[name] })
}

func TestSettingsHaveDefaults(t *testing.T) {
	got, err := parseServe(nil)
	want := config{addr: "127.0.0.1:8000", db: "orders.db", processingTime: 50 * time.Second, logLevel: slog.LevelInfo}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestVariablesGoBeforeDefaultsAndFlagsBeforeVariables(t *testing.T) {
	env := map[string]string{
		"ORDERS_ADDR": ":81", "ORDERS_TRUSTED_HOSTS": "a,b", "ORDERS_DB": "env.db", "PROCESSING_TIME": "1s", "LOG_LEVEL": "warn", "LOG_FORMAT": "json",
	}
	got, err := parseServe(env)
	want := config{addr: ":81", trustedHosts: "a,b", db: "env.db", processingTime: time.Second, logLevel: slog.LevelWarn, logFormat: "json"}
	if err != nil || got != want {
		t.Errorf("from variables: got %+v, %v; want %+v", got, err, want)
	}
	got, err = parseServe(env,
		"--addr", "localhost:82", "--trusted-host", "c", "--trusted-host=d,e", "--db=flag.db", "-processing-time", "2ms", "--log-level", "DEBUG", "--log-format", "text")
	want = config{addr: "localhost:82", trustedHosts: "c,d,e", db: "flag.db", processingTime: 2 * time.Millisecond, logLevel: slog.LevelDebug, logFormat: "text"}
	if err != nil || got != want {
		t.Errorf("from flags: got %+v, %v; want %+v", got, err, want)
	}
}

func TestBadSettingsAreRefused(t *testing.T) {
	bad := map[string][]string{
		"addr":            {"8000", "localhost", "localhost:", ":http", ":65536", ":-1", "a:b:1"},
		"trusted-host":    {"shop.example:443", "https://shop.example", "a b", "*.shop.example", ",", "a,", ".", "é"},
		"db":              {"", ":memory:", "file::memory:", "file:orders.db", "file:orders.db?mode=memory&cache=shared"},
		"processing-time": {"", "50", "0s", "-1s", "999us", "15m1ms", "soon"},
		"log-level":       {"", "loud", "2"},
		"log-format":      {"xml", "JSON"},
	}
	for name, values := range bad {
		for _, value := range values {
			_, err := parseServe(nil, "--"+name, value)
			if err == nil || !strings.HasPrefix(err.Error(), "--"+name+" (") || !strings.HasSuffix(err.Error(), `"`+value+`"`) {
				t.Errorf("--%s %q: got %v; want an error that names both", name, value, err)
			}
		}
	}
}

func TestBoundsOfTheProcessingTimeBelongToIt(t *testing.T) {
	for value, want := range map[string]time.Duration{"1ms": time.Millisecond, "15m": 15 * time.Minute} {
		got, err := parseServe(nil, "--processing-time", value)
		if err != nil || got.processingTime != want {
			t.Errorf("%s: got %v, %v", value, got.processingTime, err)
		}
	}
}

func TestOnlyTheLastOfRepeatedFlagsCountsUnlessTheyMakeAList(t *testing.T) {
	got, err := parseServe(nil, "--db", "a.db", "--db", "b.db", "--trusted-host", "a", "--trusted-host", "b")
	if err != nil || got.db != "b.db" || got.trustedHosts != "a,b" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAllBadSettingsAreReportedTogether(t *testing.T) {
	env := map[string]string{"ORDERS_ADDR": "here", "PROCESSING_TIME": "50", "LOG_FORMAT": "xml"}
	code, _, stderr := invoke(t, env, "serve", "--log-level", "loud", "--db", "", "now")
	want := `orders: unexpected argument "now"
orders: --addr (ORDERS_ADDR) must be host:port, such as 127.0.0.1:8000, not "here"
orders: --db (ORDERS_DB) must be the path of a file on disk, such as orders.db (":memory:" would lose all orders with the process, "file:" begins a URI), not ""
orders: --processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not "50"
orders: --log-level (LOG_LEVEL) must be debug, info, warn or error, not "loud"
orders: --log-format (LOG_FORMAT) must be text or json, not "xml"
Try: orders --help
`
	if code != exitUsage || stderr != want {
		t.Errorf("exit code %d and\n%s\nwant 2 and\n%s", code, stderr, want)
	}
}
