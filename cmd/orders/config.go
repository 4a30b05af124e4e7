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
	"strings"
	"time"
)

// config is what the flags and the environment say.
type config struct {
	addr           string
	trustedHosts   string // separated by commas
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
	repeats                  bool // whether it may be given more than once; a comma joins the values
}

var (
	addrSetting = setting{
		flag: "addr", variable: "ORDERS_ADDR", fallback: "127.0.0.1:8000", rule: "host:port, such as 127.0.0.1:8000",
		set: func(c *config, value string) bool { c.addr = value; return validAddr(value) },
	}
	trustedHostSetting = setting{
		flag: "trusted-host", variable: "ORDERS_TRUSTED_HOSTS", repeats: true,
		rule: "names without scheme and port, such as shop.example,www.shop.example",
		set:  func(c *config, value string) bool { c.trustedHosts = value; return validHostNames(value) },
	}
	dbSetting = setting{
		flag: "db", variable: "ORDERS_DB", fallback: "orders.db",
		rule: `the path of a file on disk, such as orders.db (":memory:" would lose all orders with the process, "file:" begins a URI)`,
		set:  func(c *config, value string) bool { c.db = value; return isPath(value) },
	}
	processingTimeSetting = setting{
		flag: "processing-time", variable: "PROCESSING_TIME", fallback: "50s", rule: "from 1ms to 15m, such as 50s",
		set: func(c *config, value string) bool {
			var err error
			c.processingTime, err = time.ParseDuration(value)
			return err == nil && minProcessingTime <= c.processingTime && c.processingTime <= maxProcessingTime
		},
	}
	logLevelSetting = setting{
		flag: "log-level", variable: "LOG_LEVEL", fallback: "info", rule: "debug, info, warn or error",
		set: func(c *config, value string) bool { return c.logLevel.UnmarshalText([]byte(value)) == nil },
	}
	logFormatSetting = setting{
		flag: "log-format", variable: "LOG_FORMAT", rule: "text or json",
		set: func(c *config, value string) bool {
			c.logFormat = value
			return value == "" || value == "text" || value == "json"
		},
	}
)

// isPath reports whether a name is that of a file. SQLite makes a database of the others that is
// gone with its connection, or reads them as a URI, in which a parameter can ask for the same.
func isPath(name string) bool {
	return name != "" && name != ":memory:" && !strings.HasPrefix(name, "file:")
}

// parseConfig reads the settings and the argument that a command has, and reports all that is
// wrong with them together. A flag goes before its variable. It returns
// flag.ErrHelp when the arguments ask for help.
func parseConfig(c command, args []string, getenv func(string) string) (config, error) {
	var cfg config
	flags, values := c.flags(&cfg, getenv)
	arguments, err := parseInterspersed(flags, args)
	if errors.Is(err, flag.ErrHelp) {
		return cfg, err
	}
	var problems []error
	switch {
	case err != nil:
		problems, arguments = append(problems, err), nil
	case c.argument == "":
	case len(arguments) == 0 || !isPath(arguments[0]):
		problems, arguments = append(problems, fmt.Errorf("%s must be the path of a file, such as backup.db", c.argument)), nil
	default:
		cfg.file, arguments = arguments[0], arguments[1:]
	}
	if len(arguments) > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", arguments[0]))
	}
	for i, s := range c.settings {
		if !s.set(&cfg, values[i]) {
			problems = append(problems, fmt.Errorf("--%s (%s) must be %s, not %q", s.flag, s.variable, s.rule, values[i]))
		}
	}
	return cfg, errors.Join(problems...)
}

// flags are the command's, and the values that its settings have once they are parsed. Its switches
// go to cfg.
func (c command) flags(cfg *config, getenv func(string) string) (flags *flag.FlagSet, values []string) {
	flags = flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for name, field := range c.switches {
		flags.BoolVar(field(cfg), name, false, "")
	}
	values = make([]string, len(c.settings))
	given := make([]bool, len(c.settings))
	for i, s := range c.settings {
		values[i] = cmp.Or(getenv(s.variable), s.fallback)
		flags.Func(s.flag, "", func(value string) error {
			if s.repeats && given[i] {
				value = values[i] + "," + value
			}
			values[i], given[i] = value, true
			return nil
		})
	}
	return flags, values
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
