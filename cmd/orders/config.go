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

var errHelp = flag.ErrHelp

// parseConfig reads the configuration and reports all that is wrong with it
// together. A flag goes before its variable.
func parseConfig(args []string, getenv func(string) string) (config, error) {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	setting := func(name, variable, fallback string) *string {
		return flags.String(name, cmp.Or(getenv(variable), fallback), "")
	}
	addr := setting("addr", "ORDERS_ADDR", "127.0.0.1:8000")
	db := setting("db", "ORDERS_DB", "orders.db")
	processingTime := setting("processing-time", "PROCESSING_TIME", "50s")
	logLevel := setting("log-level", "LOG_LEVEL", "info")
	logFormat := setting("log-format", "LOG_FORMAT", "")
	if err := flags.Parse(args); err != nil {
		return config{}, err
	}

	cfg := config{addr: *addr, db: *db, logFormat: *logFormat}
	var problems []error
	if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	if !validAddr(*addr) {
		problems = append(problems, fmt.Errorf("--addr (ORDERS_ADDR) must be host:port, such as 127.0.0.1:8000, not %q", *addr))
	}
	var err error
	cfg.processingTime, err = time.ParseDuration(*processingTime)
	if err != nil || cfg.processingTime < minProcessingTime || cfg.processingTime > maxProcessingTime {
		problems = append(problems, fmt.Errorf("--processing-time (PROCESSING_TIME) must be from 1ms to 15m, such as 50s, not %q", *processingTime))
	}
	if cfg.logLevel.UnmarshalText([]byte(*logLevel)) != nil {
		problems = append(problems, fmt.Errorf("--log-level (LOG_LEVEL) must be debug, info, warn or error, not %q", *logLevel))
	}
	if *logFormat != "" && *logFormat != "text" && *logFormat != "json" {
		problems = append(problems, fmt.Errorf("--log-format (LOG_FORMAT) must be text or json, not %q", *logFormat))
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
