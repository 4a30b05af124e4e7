package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"orders/shared/order"
)

// serveCommand has the settings of the service, as texts of the command line that AfterApply has
// checked: kong's own types would report one wrong setting and not all.
type serveCommand struct {
	Addr        string   `variable:"ORDERS_ADDR" default:"127.0.0.1:8000" placeholder:"ADDRESS" help:"host:port to listen on; port 0 takes any free one"`
	TrustedHost []string `variable:"ORDERS_TRUSTED_HOSTS" sep:"none" placeholder:"NAME" help:"Name, besides localhost, that a reverse proxy keeps in the Host header; may be given more than once, or as a list with commas"`
	databaseFlag
	ProcessingTime string `variable:"PROCESSING_TIME" default:"50s" placeholder:"TIME" help:"How long an order stays in Processing, 1ms to 15m"`
	Fulfilment     string `variable:"FULFILMENT" default:"timer" placeholder:"WHO" help:"timer or external: an order is completed when its processing time is over, or by a worker"`
	AttemptTimeout string `variable:"ATTEMPT_TIMEOUT" default:"5m" placeholder:"TIME" help:"How long a worker has for one attempt (external), 1ms to 15m"`
	MaxAttempts    int    `variable:"MAX_ATTEMPTS" default:"5" placeholder:"N" help:"After how many attempts without an answer an order has failed (external), 1 to 100"`
	LogLevel       string `variable:"LOG_LEVEL" default:"info" placeholder:"LEVEL" help:"debug, info, warn or error; debug has a line for every request"`
	LogFormat      string `variable:"LOG_FORMAT" placeholder:"FORMAT" help:"text or json; by default text on a terminal, else json"`
}

// Help follows the list of flags.
func (*serveCommand) Help() string {
	return `The address is printed once the service listens; the log goes to standard error. After a signal the service answers the requests under way, for 7 s at most. A second signal ends it at once.`
}

// AfterApply reports all wrong settings together.
func (c *serveCommand) AfterApply() error {
	_, levelErr := c.logLevel()
	f := c.fulfilment()
	validFormat := c.LogFormat == "" || c.LogFormat == "text" || c.LogFormat == "json"
	return errors.Join(
		require(validAddr(c.Addr), "--addr (ORDERS_ADDR)", "host:port, such as 127.0.0.1:8000", c.Addr),
		require(validHostNames(c.trustedHosts()), "--trusted-host (ORDERS_TRUSTED_HOSTS)",
			"names without scheme and port, such as shop.example,www.shop.example", c.trustedHosts()),
		c.databaseFlag.AfterApply(),
		require(validTime(f.ProcessingTime), "--processing-time (PROCESSING_TIME)", "from 1ms to 15m, such as 50s", c.ProcessingTime),
		require(c.Fulfilment == "timer" || f.External, "--fulfilment (FULFILMENT)", "timer or external", c.Fulfilment),
		require(validTime(f.AttemptTimeout), "--attempt-timeout (ATTEMPT_TIMEOUT)", "from 1ms to 15m, such as 5m", c.AttemptTimeout),
		require(1 <= f.MaxAttempts && f.MaxAttempts <= order.MaxAttempts, "--max-attempts (MAX_ATTEMPTS)", "from 1 to 100", strconv.Itoa(c.MaxAttempts)),
		require(levelErr == nil, "--log-level (LOG_LEVEL)", "debug, info, warn or error", c.LogLevel),
		require(validFormat, "--log-format (LOG_FORMAT)", "text or json", c.LogFormat),
	)
}

// fulfilment returns the settings as the domain has them, with 0 for a time that is not one.
func (c *serveCommand) fulfilment() order.Fulfilment {
	processing, _ := time.ParseDuration(c.ProcessingTime)
	timeout, _ := time.ParseDuration(c.AttemptTimeout)
	return order.Fulfilment{
		ProcessingTime: processing, External: c.Fulfilment == "external", AttemptTimeout: timeout, MaxAttempts: c.MaxAttempts,
	}
}

func validTime(d time.Duration) bool {
	return order.MinProcessingTime <= d && d <= order.MaxProcessingTime
}

// trustedHosts returns the names, separated by commas.
func (c *serveCommand) trustedHosts() string { return strings.Join(c.TrustedHost, ",") }

func (c *serveCommand) logLevel() (level slog.Level, err error) {
	err = level.UnmarshalText([]byte(c.LogLevel))
	return level, err
}

// A databaseFlag is the setting that all commands have.
type databaseFlag struct {
	DB string `variable:"ORDERS_DB" default:"orders.db" placeholder:"FILE" help:"Database file; serve creates it if it is missing"`
}

// AfterApply checks the name of the file.
func (d *databaseFlag) AfterApply() error {
	return require(isPath(d.DB), "--db (ORDERS_DB)",
		`the path of a file on disk, such as orders.db (":memory:" would lose all orders with the process, "file:" begins a URI)`, d.DB)
}

// require returns an error that names a setting and its rule, unless the value is valid.
func require(valid bool, setting, rule, value string) error {
	if valid {
		return nil
	}
	return fmt.Errorf("%s must be %s, not %q", setting, rule, value)
}

// isPath reports whether a name is the path of a file. SQLite opens the other names as a database
// that is gone with its connection, or as a URI, whose parameters can ask for such a database.
func isPath(name string) bool {
	return name != "" && name != ":memory:" && !strings.HasPrefix(name, "file:")
}

func validAddr(addr string) bool {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}
