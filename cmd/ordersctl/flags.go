package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"orders/shared/order"
)

// rule returns the text as an error unless it holds.
func rule(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// between is the rule that a flag's value lies between two others, inclusive.
func between[T cmp.Ordered](flag string, value, least, most T) error {
	return rule(least <= value && value <= most, "%s must be from %v to %v, not %v", flag, least, most, value)
}

// given is the rule that a setting has a value, by its flag or its variable.
func given(flag, variable, value string) error {
	return rule(value != "", "%s (%s) is missing", flag, variable)
}

// processing is the setting that functions and tool must agree on. It is a text
// because kong reads variables also for the commands that do not have them.
type processing struct {
	ProcessingTime string `env:"PROCESSING_TIME" default:"50s" placeholder:"TIME" help:"How long an order stays in Processing, 1ms to 15m; 50s unless given."`
}

// valid names the flag if it makes no sense.
func (p *processing) valid() error {
	d, err := time.ParseDuration(p.ProcessingTime)
	return rule(err == nil && order.MinProcessingTime <= d && d <= order.MaxProcessingTime,
		"--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not %q", p.ProcessingTime)
}

func (p *processing) duration() time.Duration {
	d, err := time.ParseDuration(p.ProcessingTime)
	if err != nil {
		panic(err) // valid has let it pass
	}
	return d
}

// errFindings: the command did what it was asked to, and found what should not be.
var errFindings = errors.New("the orders do not fit together, see the findings")
