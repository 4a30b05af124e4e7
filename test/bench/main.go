// Command bench measures the service against its goals and writes what it found
// to test/bench/results.md. Run it from the root of the module:
//
//	go run ./test/bench          everything, in full: about 35 minutes
//	go run ./test/bench -short   the same in small, for continuous integration
//	go run ./test/bench -soak 30m
//	                        one service under one rate: does it stay flat?
//
// The load comes from this process; the servers are children of it, built with
// the same Go. Ratios are to a bare net/http server (test/bench/echo) that is measured
// in turn with the service, so that they mean the same on a fast machine and on
// a slow or busy one. Every answer is checked, and a run with a single bad one
// is reported as failed.
//
// It exits with 1 when something could not be measured and, in short form, when
// a ratio is far off its goal. A goal that is merely missed is reported. A soak
// exits with 1 when it misses any.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The signal would come for the connections that slow clients lose, too.
	signal.Ignore(syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], endingWriter{os.Stdout, stop})
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// An endingWriter calls end when a write fails: the servers are to end, too, when
// whoever reads the output has gone.
type endingWriter struct {
	io.Writer
	end func()
}

func (w endingWriter) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		w.end()
	}
	return n, err
}

func run(ctx context.Context, args []string, out io.Writer) error {
	opts, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	for _, dir := range []string{opts.profile, opts.results} {
		if err := os.MkdirAll(dir, 0o755); dir != "" && err != nil {
			return err
		}
	}
	b, err := newBench(ctx, opts, out)
	if err != nil {
		return err
	}
	if opts.soakFor > 0 {
		return errors.Join(b.runSoak(ctx), b.close())
	}
	rep, err := b.measure(ctx)
	if err := errors.Join(err, b.close()); err != nil {
		return err
	}
	if _, err := io.WriteString(out, "\n"+rep.markdown()); err != nil {
		return err
	}
	if opts.results != "" {
		if err := rep.save(opts.results); err != nil {
			return err
		}
	}
	return rep.failure(opts.short)
}
