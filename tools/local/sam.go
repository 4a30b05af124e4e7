package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// architectures maps GOARCH to AWS's names.
var architectures = map[string]string{"amd64": "x86_64", "arm64": "arm64"}

// builtTemplate is the template with the paths of the functions' programs, after build.
func (s *session) builtTemplate() string { return filepath.Join(s.folder, "build", "template.yaml") }

// build compiles the functions for the processor of this machine.
func (s *session) build(ctx context.Context) error {
	return s.run(ctx, "sam-build", "make", "sam-build", "SAM="+s.sam,
		"ARGS=--build-dir "+filepath.Dir(s.builtTemplate())+" "+strings.Join(parameters(), " "))
}

// parameters returns the flag that sets the template's parameters, for NAME=VALUE.
func parameters(overrides ...string) []string {
	return append([]string{"--parameter-overrides", "Architecture=" + architectures[runtime.GOARCH]}, overrides...)
}

// samLocal returns a command of `sam local`, whose containers join LocalStack's network.
func (s *session) samLocal(ctx context.Context, command string, more ...string) []string {
	line := append([]string{
		s.sam, "local", command, "--region", region, "--template-file", s.builtTemplate(),
		"--docker-network", s.name, "--env-vars", s.variablesFile(),
	}, parameters("EndpointUrl="+localstackInNetwork, "LogLevel=DEBUG")...)
	image := "public.ecr.aws/lambda/provided:al2023-" + architectures[runtime.GOARCH]
	if exec.CommandContext(ctx, "docker", "image", "inspect", image).Run() == nil {
		line = append(line, "--skip-pull-image")
	}
	return append(line, more...)
}

// serveSAM starts a `sam local` on a port. It keeps the containers; warm says when it creates them.
func (s *session) serveSAM(ctx context.Context, command string, port int, warm string) {
	s.serve("sam-"+command,
		s.samLocal(ctx, command, "--warm-containers", warm, "--host", "127.0.0.1", "--port", fmt.Sprint(port))...)
}

// variablesFile sets environment variables for `sam local`. A function gets those that the template
// declares for it.
func (s *session) variablesFile() string { return filepath.Join(s.folder, "env.json") }
