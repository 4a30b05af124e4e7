package main

import (
	"io"
	"strings"
	"testing"
)

func TestOnlyAFullRunWritesTheRecord(t *testing.T) {
	for args, want := range map[string][2]string{
		"":                           {"test/bench", "docs"},
		"-only rates":                {"test/bench", "docs"},
		"-short":                     {"", ""},
		"-short -out there":          {"there", "there"},
		"-soak 30m":                  {"test/bench", "docs"},
		"-soak 60s -rate 3000":       {"", ""},
		"-soak 60s -out there":       {"there", "there"},
		"-profile there":             {"", ""},
		"-profile there -out nobody": {"", ""},
	} {
		o, err := parseOptions(strings.Fields(args), io.Discard)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		}
		if got := [2]string{o.results, o.plots}; got != want {
			t.Errorf("%q writes to %q, want %q", args, got, want)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for args, want := range map[string]string{
		"rates":                  `unexpected argument "rates"`,
		"-base xml":              "-base must be json or raw",
		"-only everything":       "-only must be one of creates,",
		"-soak 5s":               "-soak must be at least 30s, not 5s",
		"-soak -1m":              "-soak must be at least 30s",
		"-soak 30m -short":       "-soak goes without -short",
		"-soak 30m -only rates":  "-soak goes without",
		"-soak 30m -profile dir": "-soak goes without",
		"-rate 1000":             "-rate is for -soak",
		"-soak 30m -rate -5":     "-rate must be positive",
	} {
		if _, err := parseOptions(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
