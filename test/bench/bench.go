package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"orders/test/bench/generator"
	"orders/test/service"
)

// connections is how many every load has.
const connections = generator.Connections

// A bench is what all measurements share.
type bench struct {
	sizes
	options
	dir   string    // for programs and database files; removed at the end
	out   io.Writer // progress
	files int       // database files so far
	large string    // the path of the large file, once it is made

	ordersProgram, echoProgram string // paths

	group string // the one that is being measured
	raw   []string
}

// newBench builds the programs. The directory is on the disk of the project: a temporary one may be
// in memory, where a commit costs nothing.
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

// build compiles both servers, which must come from the same Go.
func (b *bench) build(ctx context.Context) (err error) {
	if b.ordersProgram, err = service.Build(ctx, b.dir, "./cmd/orders"); err != nil {
		return err
	}
	if b.echoProgram, err = service.Build(ctx, b.dir, "./test/bench/echo"); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(b.ordersProgram)
	if err == nil && info.GoVersion != runtime.Version() {
		err = fmt.Errorf("the service was built with %s, and this program with %s", info.GoVersion, runtime.Version())
	}
	return err
}

func (b *bench) close() error { return os.RemoveAll(b.dir) }

// say reports progress.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.out, format+"\n", args...) }

// record keeps a figure for benchstat. Figures with the same name are samples of the same thing.
func (b *bench) record(name string, value float64, unit string) {
	name = strings.ReplaceAll(name, " ", "-")
	b.raw = append(b.raw, fmt.Sprintf("Benchmark%s/%s 1 %.6g %s", strings.ToUpper(b.group[:1])+b.group[1:], name, value, unit))
}

// newFile returns the path of a database file that does not exist yet.
func (b *bench) newFile() string {
	b.files++
	return filepath.Join(b.dir, fmt.Sprintf("%d.db", b.files))
}

// A server is a process that is being measured.
type server struct {
	*service.Process
	client  *service.Client // for requests where time does not matter
	addr    string          // host:port
	service bool            // not the echo
	// startedIn is the time from its exec to its first good response.
	startedIn time.Duration
}

// startOrders starts the service as it is released, with its default settings but for the processing
// time and what env sets.
func (b *bench) startOrders(ctx context.Context, file string, processing time.Duration, env ...string) (*server, error) {
	s, err := start(ctx, env, generator.Get("/healthz"), generator.CheckOK,
		b.ordersProgram, "serve", "--addr", "127.0.0.1:0", "--db", file, "--processing-time", processing.String())
	if err == nil {
		s.service = true
	}
	return s, err
}

// startEcho starts the echo that reads and writes JSON, or the one that writes the body back.
func (b *bench) startEcho(ctx context.Context, raw bool, env ...string) (*server, error) {
	return start(ctx, env, generator.NewCreates(false).Append(nil, 0), generator.CheckCreated, b.echoProgram, fmt.Sprintf("-raw=%t", raw))
}

// start runs a program and returns when its response to the probe is good. The program has the
// variables of env besides the environment of this process.
func start(ctx context.Context, env []string, probe []byte, good func(generator.Response) error, program string, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	p, err := service.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	s := &server{Process: p, client: service.NewClient(p.URL, 1), addr: strings.TrimPrefix(p.URL, "http://")}
	if err := s.probe(ctx, probe, good); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("start %s: %w\n%s", program, err, stderr.Bytes())
	}
	s.startedIn = time.Since(began)
	return s, nil
}

// probe sends one request.
func (s *server) probe(ctx context.Context, request []byte, good func(generator.Response) error) error {
	c, err := generator.Dial(ctx, s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	r, err := c.Do(request)
	if err != nil {
		return err
	}
	return good(r)
}

// stop stops the server. Only the service has something to do before it ends.
func (s *server) stop() error {
	if !s.service {
		return s.Close()
	}
	return errors.Join(s.client.Close(), s.Stop())
}

// A contender is a server that is compared with others.
type contender struct {
	name  string
	start func(context.Context) (*server, error)
}

// measure puts a load on a new server, and notes the memory that it took if it is the service.
func (c contender) measure(ctx context.Context, l generator.Load, mem *memory) (generator.Result, error) {
	s, err := c.start(ctx)
	if err != nil {
		return generator.Result{}, err
	}
	defer s.Close()
	res, err := l.Run(ctx, s.addr)
	if s.service {
		err = errors.Join(err, mem.watch(s))
	}
	if err = errors.Join(err, s.stop()); err != nil {
		err = fmt.Errorf("%s at %d creates/s: %w", c.name, l.Rate, err)
	}
	return res, err
}

// A memory is the highest resident memory, in megabytes, that any of several servers has had.
type memory float64

// watch takes a server into account, with its peak up to now.
func (m *memory) watch(s *server) error {
	megabytes, err := service.Memory(s.PID(), "VmHWM")
	*m = max(*m, memory(megabytes))
	return err
}

// memoryRow is the line of the report about it.
func (b *bench) memoryRow(m memory, when string, limit float64) row {
	b.record("memory", float64(m), "peak-MB")
	return row{name: "peak resident memory " + when, goal: atMost(limit, "MB"), value: float64(m), measured: fmt.Sprintf("%.0f MB", m)}
}

// median is the middle value, the mean of the two in the middle when their number is even.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
