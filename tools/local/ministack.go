package main

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	ministackCommand = ".tools/ministack/bin/ministack"
	awsCLI           = ".tools/ministack/bin/aws"
)

// A ministack is an emulator of all of AWS that the template uses. It enforces the
// roles of functions.
type ministack struct {
	*children
	port int
}

func (m *ministack) endpoint() string { return "http://" + address(m.port) }

func (m *ministack) install(ctx context.Context, python string) error {
	return m.run(ctx, "install-ministack", "make", ministackCommand, "PYTHON="+python)
}

// start starts the emulator with an empty environment, because the functions, which
// are processes of its own, would see what it sees.
func (m *ministack) start(ctx context.Context) error {
	command := append([]string{"env", "-i"}, slices.DeleteFunc(slices.Clone(m.env), func(variable string) bool {
		return !strings.HasPrefix(variable, "PATH=")
	})...)
	err := m.serve("ministack", append(command,
		"HOME="+m.folder,
		"TMPDIR="+m.folder,
		"BIND_HOST=127.0.0.1",
		"MINISTACK_HOST=127.0.0.1",
		fmt.Sprintf("GATEWAY_PORT=%d", m.port),
		"MINISTACK_REGION="+region,
		"IOT_MTLS_ENABLED=0",
		"AUTH=true",
		ministackCommand,
	)...)
	if err != nil {
		return err
	}
	m.env = append(m.env, "AWS_ENDPOINT_URL="+m.endpoint())
	if err := await(ctx, time.Minute, answers(m.endpoint()+"/_ministack/health")); err != nil {
		return fmt.Errorf("wait for ministack: %w", err)
	}
	return nil
}

// aws runs a command of the AWS CLI and reads its answer into v, if that is not nil.
func (m *ministack) aws(ctx context.Context, v any, command ...string) error {
	output, err := m.answer(ctx, append([]string{awsCLI, "--output", "json"}, command...)...)
	if err != nil || v == nil {
		return err
	}
	if err := json.Unmarshal(output, v); err != nil {
		return fmt.Errorf("read the answer to aws %s: %w", strings.Join(command, " "), err)
	}
	return nil
}
