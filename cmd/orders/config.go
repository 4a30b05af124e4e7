package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"time"
)

// config is what the flags and the environment say.
type config struct {
	addr           string
	db             string
	processingTime time.Duration
	logLevel       slog.Level
	logFormat      string // "text", "json", or "" to go by the terminal
}

// Bounds of the processing time; the upper one is what a queue on AWS can delay.
const (
	minProcessingTime = time.Millisecond
	maxProcessingTime = 15 * time.Minute
)

// A setting is a flag with the variable that sets its default.
type setting struct {
	flag, variable, fallback string
	rule                     string // what a value must be, for the person who gave another
	set                      func(c *config, value string) (ok bool)
}

var (
	addrSetting = setting{
		"addr", "ORDERS_ADDR", "127.0.0.1:8000", "host:port, such as 127.0.0.1:8000",
		func(c *config, value string) bool { c.addr = value; return validAddr(value) },
	}
	dbSetting = setting{
		"db", "ORDERS_DB", "orders.db", "the path of a file, such as orders.db",
		func(c *config, value string) bool { c.db = value; return value != "" && value != inMemory },
	}
	processingTimeSetting = setting{
		"processing-time", "PROCESSING_TIME", "50s", "from 1ms to 15m, such as 50s",
		func(c *config, value string) bool {
			var err error
			c.processingTime, err = time.ParseDuration(value)
			return err == nil && minProcessingTime <= c.processingTime && c.processingTime <= maxProcessingTime
		},
	}
	logLevelSetting = setting{
		"log-level", "LOG_LEVEL", "info", "debug, info, warn or error",
		func(c *config, value string) bool { return c.logLevel.UnmarshalText([]byte(value)) == nil },
	}
	logFormatSetting = setting{
		"log-format", "LOG_FORMAT", "", "text or json",
		func(c *config, value string) bool {
			c.logFormat = value
			return value == "" || value == "text" || value == "json"
		},
	}
)

// inMemory is SQLite's name for a database that is gone with its connection.
const inMemory = ":memory:"

// parseConfig reads the settings that a command has, and reports all that is
// wrong with them together. A flag goes before its variable. It returns
// flag.ErrHelp when the arguments ask for help.
func parseConfig(settings []setting, args []string, getenv func(string) string) (config, error) {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	values := make([]*string, len(settings))
	for i, s := range settings {
		values[i] = flags.String(s.flag, cmp.Or(getenv(s.variable), s.fallback), "")
	}
	var cfg config
	var problems []error
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return cfg, err
	} else if err != nil {
		problems = append(problems, err)
	} else if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	for i, s := range settings {
		if !s.set(&cfg, *values[i]) {
			problems = append(problems, fmt.Errorf("--%s (%s) must be %s, not %q", s.flag, s.variable, s.rule, *values[i]))
		}
	}
	return cfg, errors.Join(problems...)
}

func validAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
