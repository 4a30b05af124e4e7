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
	repair         bool
	file           string // the argument of backup and restore
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

// parseConfig reads the settings and the argument that a command has, and reports all that is
// wrong with them together. A flag goes before its variable. It returns
// flag.ErrHelp when the arguments ask for help.
func parseConfig(c command, args []string, getenv func(string) string) (config, error) {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var cfg config
	for name, field := range c.switches {
		flags.BoolVar(field(&cfg), name, false, "")
	}
	values := make([]*string, len(c.settings))
	for i, s := range c.settings {
		values[i] = flags.String(s.flag, cmp.Or(getenv(s.variable), s.fallback), "")
	}
	arguments, err := parseInterspersed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return cfg, err
	}
	var problems []error
	if err != nil {
		problems = append(problems, err)
	} else if c.argument != "" && len(arguments) == 0 {
		problems = append(problems, fmt.Errorf("%s is missing: the path of a file", c.argument))
	} else if c.argument != "" {
		cfg.file, arguments = arguments[0], arguments[1:]
	}
	if len(arguments) > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", arguments[0]))
	}
	for i, s := range c.settings {
		if !s.set(&cfg, *values[i]) {
			problems = append(problems, fmt.Errorf("--%s (%s) must be %s, not %q", s.flag, s.variable, s.rule, *values[i]))
		}
	}
	return cfg, errors.Join(problems...)
}

// parseInterspersed returns the arguments that are no flags, which may stand before, between and
// behind the flags.
func parseInterspersed(flags *flag.FlagSet, args []string) (arguments []string, err error) {
	for {
		if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
			return arguments, err
		}
		arguments = append(arguments, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

func validAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
