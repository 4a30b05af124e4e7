package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// A bench is what all measurements share.
type bench struct {
	sizes
	options
	dir   string    // for programs and database files; removed at the end
	out   io.Writer // progress
	files int       // database files so far
	large string    // the path of the large file, once it is made

	ordersProgram, echoProgram string // paths
}

// newBench builds the programs. The directory is on the disk of the project, as
// a temporary one may be in memory, where a commit costs nothing.
func newBench(ctx context.Context, opts options, out io.Writer) (*bench, error) {
	if _, err := os.Stat("cmd/orders"); err != nil {
		return nil, fmt.Errorf("run this from the root of the module: %w", err)
	}
	if err := os.MkdirAll("bin", 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("bin", "bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{sizes: full, options: opts, dir: dir, out: out}
	if opts.short {
		b.sizes = short
	}
	if err := b.build(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func (b *bench) build(ctx context.Context) (err error) {
	var flags []string
	if b.profile != "" {
		flag, err := profiled(b.dir)
		if err != nil {
			return err
		}
		flags = append(flags, flag)
	}
	if b.ordersProgram, err = build(ctx, b.dir, "./cmd/orders", flags...); err != nil {
		return err
	}
	b.echoProgram, err = build(ctx, b.dir, "./test/bench/echo")
	return err
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

// say reports progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

// newFile returns the path of a database file that does not exist yet.
func (b *bench) newFile() string {
	b.files++
	return filepath.Join(b.dir, fmt.Sprintf("%d.db", b.files))
}

// startOrders starts the service as it is delivered, with its default settings
// but for the processing time and what env sets.
func (b *bench) startOrders(ctx context.Context, file string, processing time.Duration, env ...string) (*server, error) {
	s, err := start(ctx, env, get("/healthz"), checkOK, b.ordersProgram, "serve", "-db", file, "-processing-time", processing.String())
	if err != nil {
		return nil, err
	}
	s.service = true
	return s, nil
}

// startEcho starts the echo; base is baseJSON or baseRaw.
func (b *bench) startEcho(ctx context.Context, base string, env ...string) (*server, error) {
	var args []string
	if base == baseRaw {
		args = append(args, "-raw")
	}
	return start(ctx, env, newCreates(false).append(nil, 0), checkCreated, b.echoProgram, args...)
}

// runLoad puts a load on a server and, with -profile, keeps a profile of it
// under that name if it is the service.
func (b *bench) runLoad(ctx context.Context, name string, s *server, l load) (result, error) {
	profiled := make(chan error, 1)
	if b.profile == "" || !s.service {
		profiled <- nil
	} else {
		go func() { profiled <- saveProfile(ctx, s, filepath.Join(b.profile, name+".pprof"), l.warmUp+l.duration) }()
	}
	res, err := l.run(ctx, s.addr)
	return res, errors.Join(err, <-profiled)
}

// loadAndStop puts a load on a server, notes the memory that it took if it is
// the service, and stops it.
func (b *bench) loadAndStop(ctx context.Context, name string, s *server, l load, mem *memory) (result, error) {
	defer s.kill()
	res, err := b.runLoad(ctx, name, s, l)
	if s.service {
		mem.watch(s)
	}
	return res, errors.Join(err, s.stop())
}
