package main

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// pinnedSAM is the SAM CLI that the Makefile installs.
const pinnedSAM = ".tools/sam/bin/sam"

// architectures are AWS's names for Go's.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

// A samCLI runs the SAM CLI on the functions of template.yaml, built for the
// processor of this machine.
type samCLI struct {
	*children
	command, python string
}

// pinned reports whether the Makefile installs a tool, when it is not there.
func pinned(tool string) bool { return strings.HasPrefix(tool, ".tools/") }

func (s *samCLI) folder() string { return filepath.Join(s.children.folder, "build") }

// template is the template with the functions' binaries in it, once they are built.
func (s *samCLI) template() string { return filepath.Join(s.folder(), "template.yaml") }

// build compiles the functions as the Makefile says, which installs SAM if need be.
func (s *samCLI) build(ctx context.Context) error {
	return s.run(ctx, "sam-build", "make", "sam-build", "SAM="+s.command, "PYTHON="+s.python,
		"ARGS=--build-dir "+s.folder()+" "+strings.Join(s.parameters(nil), " "))
}

// parameters are the template's, as a part of the command line.
func (s *samCLI) parameters(more map[string]string) []string {
	line := []string{"--parameter-overrides", "Architecture=" + architectures[runtime.GOARCH]}
	for _, name := range slices.Sorted(maps.Keys(more)) {
		line = append(line, name+"="+more[name])
	}
	return line
}

// deploy returns the command that deploys what was built as a stack.
func (s *samCLI) deploy(stack string, parameters map[string]string) []string {
	return append([]string{
		s.command, "deploy",
		"--template-file", s.template(),
		"--stack-name", stack, "--region", region, "--resolve-s3", "--no-confirm-changeset",
		"--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
	}, s.parameters(parameters)...)
}

// local returns the command `sam local` on what was built, with containers on the
// network of LocalStack.
func (s *samCLI) local(ctx context.Context, command string, more ...string) []string {
	line := []string{
		s.command, "local", command, "--region", region,
		"--template-file", s.template(),
		"--docker-network", s.name,
		"--env-vars", s.variablesFile(),
	}
	if imageIsThere(ctx) {
		line = append(line, "--skip-pull-image")
	}
	line = append(line, s.parameters(map[string]string{"EndpointUrl": insideEndpoint, "LogLevel": "DEBUG"})...)
	return append(line, more...)
}

func (s *samCLI) variablesFile() string { return filepath.Join(s.children.folder, "env.json") }

// writeVariables sets the functions' environment variables. Each function gets those
// of them that the template gives it.
func (s *samCLI) writeVariables(variables map[string]string) error {
	content, err := json.Marshal(map[string]any{"Parameters": variables}, json.Deterministic(true))
	if err != nil {
		return err
	}
	return os.WriteFile(s.variablesFile(), content, 0o644)
}

// imageIsThere reports whether the functions' image need not be pulled.
func imageIsThere(ctx context.Context) bool {
	image := "public.ecr.aws/lambda/provided:al2023-" + architectures[runtime.GOARCH]
	return exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() == nil
}

// serve starts a `sam local` that serves on a port. warm says when it makes the
// containers, which it keeps between requests.
func (s *samCLI) serve(ctx context.Context, command string, port int, warm string) error {
	return s.children.serve("sam-"+command,
		s.local(ctx, command, "--warm-containers", warm, "--host", "127.0.0.1", "--port", fmt.Sprint(port))...)
}
