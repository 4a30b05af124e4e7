package main

import (
	"context"
	"debug/buildinfo"
	"encoding/json/v2"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// build compiles a package of this module as it is delivered, without cgo, and
// returns the program's path. Both servers must come from the Go that the
// report names.
func build(ctx context.Context, dir, pkg string, flags ...string) (string, error) {
	program := filepath.Join(dir, filepath.Base(pkg))
	args := append([]string{"build", "-o", program}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	if info.GoVersion != runtime.Version() {
		return "", fmt.Errorf("%s was built with %s, and this program with %s", pkg, info.GoVersion, runtime.Version())
	}
	return program, nil
}

// profiled returns the flag with which the service is built with a profiler.
func profiled(dir string) (string, error) {
	target, err := filepath.Abs("cmd/orders/bench_pprof.go")
	if err != nil {
		return "", err
	}
	source, err := filepath.Abs("test/bench/testdata/pprof.go")
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {target: source}})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return "-overlay=" + path, os.WriteFile(path, overlay, 0o600)
}
