package main

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

const (
	// killTimeout is how long a test may take on a mutant.
	killTimeout = 90 * time.Second
	// chaosTime is less than a minute: from then on TestChaos also fails when a history lacks
	// one of its faults.
	chaosTime = 55 * time.Second
)

// pass runs tests of a folder and returns an error when one of them fails, is skipped, or does
// not exist.
func pass(ctx context.Context, folder string, names []string) error {
	output, err := goTest(ctx, "", "-v", "-timeout", "10m", "-run", "^("+strings.Join(names, "|")+")$", "./"+folder)
	if err != nil {
		return fmt.Errorf("%s, on the code as it is: %w\n%s", folder, err, output)
	}
	for _, name := range names {
		if !strings.Contains(output, "--- PASS: "+name+" ") {
			return fmt.Errorf("%s, on the code as it is: %s does not pass, or does not exist", folder, name)
		}
	}
	return nil
}

// killer runs the mutant's test on the mutant and returns the name of the test that failed. It
// returns an error when none did, or when the mutant says nothing.
func (m mutant) killer(ctx context.Context) (name string, err error) {
	file, mutated, err := m.mutate(".")
	if err != nil {
		return "", err
	}
	arguments, err := m.arguments()
	if err != nil {
		return "", err
	}
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	overlay, err := writeOverlay(folder, file, mutated)
	if err != nil {
		return "", err
	}
	output, failed := goTest(ctx, overlay, arguments...)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return m.outcome(output, failed)
}

// writeOverlay writes a mutated file into a folder, with the list that puts it in the place of the
// original.
func writeOverlay(folder, file string, mutated []byte) (path string, err error) {
	original, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	replacement := filepath.Join(folder, "mutated.go")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: replacement}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "overlay.json")
	return path, errors.Join(os.WriteFile(replacement, mutated, 0o600), os.WriteFile(path, list, 0o600))
}

// arguments returns those of go test. A counterexample of rapid is neither shrunk nor kept.
func (m mutant) arguments() ([]string, error) {
	_, parts, _ := strings.Cut(m.test, "/")
	pattern := "^" + m.testName() + "$"
	if parts != "" {
		pattern += "/" + parts
	}
	timeout := killTimeout
	if m.isChaos() {
		timeout += chaosTime
	}
	arguments := []string{"-failfast", "-timeout", timeout.String(), "-run", pattern, "./" + m.folder}
	if m.isChaos() {
		arguments = append(arguments, "-chaos.for", chaosTime.String())
	}
	files, err := filepath.Glob(filepath.Join(m.folder, "*_test.go"))
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(source, []byte(`"pgregory.net/rapid"`)) {
			return append(arguments, "-rapid.nofailfile", "-rapid.shrinktime=0s"), nil
		}
	}
	return arguments, err
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// outcome reads the output of the test on the mutant.
func (m mutant) outcome(output string, failed error) (killer string, err error) {
	broken := func(why string) (string, error) { return "", fmt.Errorf("mutant %q: %s\n%s", m.name, why, output) }
	switch named := failure.FindStringSubmatch(output); {
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return broken("it does not compile")
	case strings.Contains(output, "no tests to run"):
		return broken("there is no " + m.test)
	case failed == nil:
		return "", fmt.Errorf("mutant %q: %s passes", m.name, m.test)
	case strings.Contains(output, "panic: test timed out"):
		return broken("the test did not end; on a slow machine it would not end either")
	case named != nil:
		return named[1], nil
	case strings.Contains(output, "panic: "), strings.Contains(output, "fatal error: "):
		return m.testName(), nil
	default:
		return broken("the test ended without an outcome: " + failed.Error())
	}
}

// goTest runs go test. A test that builds programs builds them with the overlay, too. Tests fail
// where an emulator is missing.
func goTest(ctx context.Context, overlay string, arguments ...string) (output string, err error) {
	// Vet and debug information take half of the time.
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-vet=off", "-ldflags=-s -w"}, arguments...)...)
	cmd.Env = append(os.Environ(), "CI=true")
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	// In a process group of its own, so that everything that the test started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	combined, err := cmd.CombinedOutput()
	return string(combined), err
}
