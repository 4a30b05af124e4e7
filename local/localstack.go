package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// insideEndpoint is where the functions, in containers of their own, find LocalStack.
const insideEndpoint = "http://localstack:4566"

// localStack is the container of compose.yaml.
type localStack struct {
	*children
	project string // of Compose, and the network's name
}

// network is what the functions' containers must be on to find LocalStack.
func (l *localStack) network() string { return l.project }

func (l *localStack) compose(ctx context.Context, arguments ...string) error {
	command := append([]string{"docker", "compose", "--project-name", l.project}, arguments...)
	return l.run(ctx, "compose-"+arguments[0], command...)
}

func (l *localStack) start(ctx context.Context) error {
	return l.compose(ctx, "up", "--detach", "--wait")
}

// remove removes LocalStack with its network, and first the functions' containers
// that SAM has left there: a network that is in use stays.
func (l *localStack) remove(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, "docker", "ps", "--all", "--quiet", "--filter", "network="+l.network()).Output()
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	if left := strings.Fields(string(output)); len(left) > 0 {
		if err := l.run(ctx, "docker-rm", append([]string{"docker", "rm", "--force"}, left...)...); err != nil {
			return err
		}
	}
	return l.compose(ctx, "down", "--volumes")
}
