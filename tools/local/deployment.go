package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// A step is a part of starting a deployment.
type step struct {
	what string
	do   func(context.Context) error
}

var errInterrupted = errors.New("interrupted")

// deploy starts a deployment of the service in an emulation of AWS, uses it, stops everything, and
// cleans up. The context of use ends early when a part of the deployment ends by itself.
func (s *session) deploy(ctx context.Context, steps []step, use func(context.Context) error, cleanup func() error) error {
	alive, end := context.WithCancelCause(ctx)
	defer end(nil)
	context.AfterFunc(s.serving, func() { end(context.Cause(s.serving)) })
	err := takeSteps(alive, steps)
	if err == nil {
		err = use(alive)
	}
	switch {
	case ctx.Err() != nil:
		err = errInterrupted
	case alive.Err() != nil:
		err = context.Cause(alive) // a process ended by itself
	}
	fmt.Println("Stopping everything ...")
	s.stop()
	if failed := cleanup(); failed != nil {
		return errors.Join(err, fmt.Errorf("stop everything: %w", failed))
	}
	fmt.Println("Everything has stopped.")
	return err
}

// takeSteps prints each step with the time that it takes.
func takeSteps(ctx context.Context, steps []step) error {
	for _, s := range steps {
		fmt.Printf("Preparing %s ... ", s.what)
		start := time.Now()
		if err := s.do(ctx); err != nil {
			fmt.Println("failed.")
			return err
		}
		fmt.Println(time.Since(start).Round(time.Second))
	}
	return nil
}

// acceptance runs the acceptance tests whose names match a pattern, with variables that describe the
// deployment.
func (s *session) acceptance(ctx context.Context, tests string, variables ...string) error {
	command := append([]string{"env", "PROCESSING_TIME=" + s.processingTime.String()}, variables...)
	command = append(command, "go", "test", "-count=1", "-v", "-timeout=10m", "-run="+tests, "./test/acceptance")
	if err := s.start(ctx, command, os.Stdout, os.Stdout)(); err != nil {
		return fmt.Errorf("the acceptance test: %w", err)
	}
	return nil
}

// region is the region of the emulators. SAM CLI uses it if no other is set.
const region = "us-east-1"

// environment returns the environment of the processes: this one's, without its AWS settings, and
// with credentials that are valid nowhere.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, "AWS_") })
	return append(env,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION="+region,
		"AWS_DEFAULT_REGION="+region,
		"AWS_CONFIG_FILE="+os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_PAGER=",
		"SAM_CLI_TELEMETRY=0",
		"GOTOOLCHAIN=auto",
		"CGO_ENABLED=0",
	)
}

// awsConfig returns the configuration of clients of an emulator.
func awsConfig(endpoint string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// listen listens on a port, or on a free one if port is 0.
func listen(port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", address(port))
}

func freePort() (int, error) {
	l, err := listen(0)
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

// await calls check until it succeeds. If ctx or the time ends before, it returns the reason and
// the last error of check.
func await(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not ready after %s", limit))
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// respondsOK is a check that GET url has status 200.
func respondsOK(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s responds %s", url, res.Status)
		}
		return nil
	}
}
