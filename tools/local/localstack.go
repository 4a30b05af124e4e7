package main

import (
	"context"
	"strings"
)

// insideEndpoint is where the functions, in containers of their own, find LocalStack.
const insideEndpoint = "http://localstack:4566"

// localStack is the container of compose.yaml. The home's name is that of the project
// and of its network.
type localStack struct{ *children }

func (l localStack) compose(arguments ...string) []string {
	return append([]string{"docker", "compose", "--project-name", l.name}, arguments...)
}

// start starts LocalStack, and a process that follows its log and ends with it.
func (l localStack) start(ctx context.Context) error {
	if err := l.run(ctx, "compose-up", l.compose("up", "--detach", "--wait")...); err != nil {
		return err
	}
	return l.serve("localstack", l.compose("logs", "--follow", "--no-color", "--no-log-prefix")...)
}

// remove removes LocalStack with its network, and first the functions' containers
// that SAM has left there: a network that is in use stays.
func (l localStack) remove(ctx context.Context) error {
	left, err := l.answer(ctx, "docker", "ps", "--all", "--quiet", "--filter", "network="+l.name)
	if err != nil {
		return err
	}
	if containers := strings.Fields(string(left)); len(containers) > 0 {
		if err := l.run(ctx, "docker-rm", append([]string{"docker", "rm", "--force"}, containers...)...); err != nil {
			return err
		}
	}
	return l.run(ctx, "compose-down", l.compose("down", "--volumes")...)
}
