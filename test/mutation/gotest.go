package main

import (
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

// pass runs tests of a folder and returns an error when one of them fails, is skipped,
// or is not there.
func pass(ctx context.Context, folder string, names []string) error {
	output, err := goTest(ctx, "", "-v", "-timeout", "10m", "-run", "^("+strings.Join(names, "|")+")$", "./"+folder)
	if err != nil {
		return fmt.Errorf("%s, on the code as it is: %w\n%s", folder, err, output)
	}
	for _, name := range names {
		if !strings.Contains(output, "--- PASS: "+name+" ") {
			return fmt.Errorf("%s, on the code as it is: %s does not pass, or is not there", folder, name)
		}
	}
	return nil
}

// killer takes the guard out and returns the test that noticed. It returns an error when
// none did, or when the mutation makes no sense.
func (g mutant) killer(ctx context.Context) (name string, err error) {
	folder, err := os.MkdirTemp("", "proof-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	overlay, err := g.overlay(folder)
	if err != nil {
		return "", err
	}
	output, failed := goTest(ctx, overlay, g.arguments()...)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	return g.verdict(output, failed)
}

// overlay writes the file without the guard, and which one it stands for, into folder.
func (g mutant) overlay(folder string) (path string, err error) {
	mutated, err := g.without(".")
	if err != nil {
		return "", err
	}
	original, err := filepath.Abs(filepath.FromSlash(g.file))
	if err != nil {
		return "", err
	}
	stand := filepath.Join(folder, "mutated.go")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: stand}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(folder, "overlay.json")
	return path, errors.Join(os.WriteFile(stand, mutated, 0o600), os.WriteFile(path, list, 0o600))
}

// arguments are those of go test. The first part of the test is its whole name.
func (g mutant) arguments() []string {
	_, parts, _ := strings.Cut(g.test, "/")
	pattern := "^" + g.testName() + "$"
	if parts != "" {
		pattern += "/" + parts
	}
	limit := g.limit
	if limit == 0 {
		limit = patience
	}
	if g.chaos {
		limit += chaosTime
	}
	arguments := []string{"-failfast", "-timeout", limit.String(), "-run", pattern, "./" + g.folder()}
	if g.rapid {
		arguments = append(arguments, "-rapid.nofailfile", "-rapid.shrinktime=0s")
	}
	if g.chaos {
		arguments = append(arguments, "-chaos.for", chaosTime.String(), "-rapid.shrinktime=0s")
	}
	return arguments
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// verdict reads the output of a test without its guard.
func (g mutant) verdict(output string, failed error) (killer string, err error) {
	broken := func(why string) (string, error) { return "", fmt.Errorf("guard %q: %s\n%s", g.name, why, output) }
	switch named := failure.FindStringSubmatch(output); {
	case strings.Contains(output, "[build failed]"), strings.Contains(output, "[setup failed]"):
		return broken("without it the code does not compile")
	case strings.Contains(output, "no tests to run"):
		return broken("there is no " + g.test)
	case failed == nil:
		return "", fmt.Errorf("guard %q: %s passes without it", g.name, g.test)
	case strings.Contains(output, "panic: test timed out"):
		return broken("the test did not end, which does not tell it from a slow machine")
	case named != nil:
		return named[1], nil
	case strings.Contains(output, "panic: "), strings.Contains(output, "fatal error: "):
		return g.testName(), nil
	default:
		return broken("the test ended without a verdict: " + failed.Error())
	}
}

// goTest runs go test. The overlay, if any, is also that of the builds that a test itself
// starts. Where an emulator is missing, tests fail.
func goTest(ctx context.Context, overlay string, arguments ...string) (output string, err error) {
	// What a debugger and vet want to know costs half of the time.
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-count=1", "-vet=off", "-ldflags=-s -w"}, arguments...)...)
	cmd.Env = append(os.Environ(), "CI=true")
	if overlay != "" {
		cmd.Env = append(cmd.Env, strings.TrimSpace("GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay))
	}
	// A group of its own, so that whatever the test has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	combined, err := cmd.CombinedOutput()
	return string(combined), err
}
