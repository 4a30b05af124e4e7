package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// test runs the acceptance test and the sample events against a home of their own.
func test(ctx context.Context, c *children, s settings) error {
	h := newHome(c, s)
	return h.during(ctx, func(ctx context.Context) error {
		err := accept(ctx, c, map[string]string{
			"ORDERS_URL":            h.url(),
			"ORDERS_QUEUE_URL":      h.resources.queue,
			"DEAD_LETTER_QUEUE_URL": h.resources.deadLetterQueue,
			"PROCESSING_TIME":       h.processingTime.String(),
			"AWS_ENDPOINT_URL":      h.endpoint(),
		})
		if err != nil {
			return err
		}
		return h.invokeSamples(ctx)
	})
}

// accept runs the acceptance test against the home that the variables tell of.
func accept(ctx context.Context, c *children, variables map[string]string) error {
	command := []string{"env"}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		command = append(command, name+"="+variables[name])
	}
	command = append(command, "go", "test", "-count=1", "-v", "-timeout=10m", "./test/acceptance")
	if err := c.show(ctx, "acceptance", command...); err != nil {
		return fmt.Errorf("the acceptance test: %w", err)
	}
	return nil
}

// invokeSamples hands every file of events/ to the function that it is named after,
// as README tells users to.
func (h *home) invokeSamples(ctx context.Context) error {
	samples, err := filepath.Glob("events/*.json")
	if err == nil && len(samples) == 0 {
		err = errors.New("there are none")
	}
	if err != nil {
		return fmt.Errorf("find the sample events: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2)
	for _, sample := range samples {
		group.Go(func() error { return h.invokeSample(ctx, sample) })
	}
	return group.Wait()
}

// refusals are the samples that a function can only refuse by failing.
var refusals = []string{"events/tally-bad.json"}

// wentWrong finds in an answer what no other sample's may have: a function's error, a
// status of 500 or more, a record that was not worked off.
var wentWrong = regexp.MustCompile(`"errorType"|"statusCode": ?5|"itemIdentifier"`)

// invokeSample fails when the function has no right answer to the sample.
func (h *home) invokeSample(ctx context.Context, sample string) error {
	name, _, _ := strings.Cut(filepath.Base(sample), ".")
	function, _, _ := strings.Cut(name, "-")
	function = strings.ToUpper(function[:1]) + function[1:] + "Function"
	answer, err := h.cli.answer(ctx, h.cli.local(ctx, "invoke", "--event", sample, function)...)
	if err != nil {
		return err
	}
	fmt.Printf("%s with %s: %.200s\n", function, sample, bytes.TrimSpace(answer))
	if len(answer) == 0 || wentWrong.Match(answer) != slices.Contains(refusals, sample) {
		return fmt.Errorf("%s with %s answers %s", function, sample, answer)
	}
	return nil
}
