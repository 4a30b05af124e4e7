package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// A prerequisite is something that must be there before anything is started.
type prerequisite struct {
	check   []string // a command that succeeds when it is there
	missing string   // what to tell when it is not
}

var (
	goCommand    = prerequisite{[]string{"go", "version"}, "Go is missing: https://go.dev/dl"}
	dockerEngine = prerequisite{[]string{"docker", "info"}, "no Docker engine answers: install Docker, or start it, and see that `docker info` works for you"}
	compose      = prerequisite{[]string{"docker", "compose", "version"}, "Docker Compose is missing: https://docs.docker.com/compose/install"}
)

// python is what the tools under .tools are installed with. A SAM CLI of the
// user's own makes it unnecessary.
func python(command string) prerequisite {
	return prerequisite{[]string{command, "-c", "import ensurepip, venv"}, "Python 3 with venv is missing, with which the SAM CLI is installed; SAM=sam takes one from the PATH instead"}
}

// ownSAM is the SAM CLI that the user has chosen.
func ownSAM(command string) prerequisite {
	return prerequisite{[]string{command, "--version"}, fmt.Sprintf("the SAM CLI is missing: SAM=%s does not run", command)}
}

// checkAll returns an error with a line for each prerequisite that is missing.
func checkAll(ctx context.Context, prerequisites []prerequisite) error {
	var missing []error
	for _, p := range prerequisites {
		if err := exec.CommandContext(ctx, p.check[0], p.check[1:]...).Run(); err != nil {
			missing = append(missing, errors.New(p.missing))
		}
	}
	return errors.Join(missing...)
}

// checkPorts returns an error with a line for each port that is taken.
func checkPorts(ports map[string]int) error {
	var taken []error
	for name, port := range ports {
		l, err := listen(port)
		if err != nil {
			taken = append(taken, fmt.Errorf("port %d, for the %s, is not free (%w); -%s-port takes another", port, name, err, strings.ToLower(name)))
			continue
		}
		_ = l.Close()
	}
	return errors.Join(taken...)
}
