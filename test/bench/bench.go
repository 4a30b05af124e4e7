package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
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

const (
	// connections is how many every load has.
	connections    = generator.Connections
	processingTime = 5 * time.Second
)

// A bench is what all measurements share.
type bench struct {
	sizes
	report
	ctx       context.Context
	dir       string // for programs and database files; removed at the end
	files     int    // database files so far
	largePath string // of the large file, once it is made

	ordersProgram, echoProgram string // paths
}

// build compiles both servers, which must come from the same Go as the load. The directory is on the
// disk of the project: a temporary one may be in memory, where a commit costs nothing.
func (b *bench) build() (err error) {
	if err := os.MkdirAll("bin", 0o755); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("bin", "bench-"); err != nil {
		return err
	}
	if b.ordersProgram, err = service.Build(b.ctx, b.dir, "./cmd/orders"); err != nil {
		return err
	}
	if b.echoProgram, err = service.Build(b.ctx, b.dir, "./test/bench/echo"); err != nil {
		return err
	}
	info, err := buildinfo.ReadFile(b.ordersProgram)
	if err == nil && info.GoVersion != runtime.Version() {
		err = fmt.Errorf("the service was built with %s, and this program with %s", info.GoVersion, runtime.Version())
	}
	return err
}

// newFile returns the path of a database file that does not exist yet.
func (b *bench) newFile() string {
	b.files++
	return filepath.Join(b.dir, fmt.Sprintf("%d.db", b.files))
}

// A server is a process that is being measured.
type server struct {
	*service.Process
	client *service.Client // for requests where time does not matter
	addr   string          // host:port
	began  time.Time       // its exec
}

// start starts a program with variables of env besides the environment of this process. The caller
// defers Close, which does nothing after Stop and Kill.
func (b *bench) start(env []string, cmd *exec.Cmd) *server {
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	began := time.Now()
	p, err := service.Start(cmd)
	if err != nil {
		check(fmt.Errorf("%w\n%s", err, stderr.Bytes()))
	}
	return &server{p, service.NewClient(p.URL, 1), strings.TrimPrefix(p.URL, "http://"), began}
}

// startOrders starts the service as it is released, with its default settings but for the processing
// time.
func (b *bench) startOrders(file string, processing time.Duration, env ...string) *server {
	return b.start(env, service.Orders(b.ctx, b.ordersProgram, file, processing))
}

// A contender is a server that is compared with others.
type contender struct {
	name       string
	processing time.Duration // of the service, 0 for the echo
	env        []string
}

var (
	echo   = contender{name: "echo"}
	orders = contender{name: "orders", processing: processingTime}
)

// under puts a load on a new server, and notes the memory that it took if it is the service.
func (b *bench) under(c contender, l generator.Load, mem *memory) generator.Result {
	if c.processing == 0 {
		s := b.start(c.env, exec.CommandContext(b.ctx, b.echoProgram))
		defer s.Close()
		return must(l.Run(b.ctx, s.addr))
	}
	s := b.startOrders(b.newFile(), c.processing, c.env...)
	defer s.Close()
	res := must(l.Run(b.ctx, s.addr))
	mem.watch(s)
	check(s.Stop())
	return res
}

// A memory is the highest resident memory, in megabytes, that any of several servers has had.
type memory float64

// watch takes a server into account, with its peak up to now.
func (m *memory) watch(s *server) { *m = max(*m, memory(must(service.Memory(s.PID(), "VmHWM")))) }

// memoryRow is the line of the report about it.
func (b *bench) memoryRow(m memory, when string, limit float64) {
	b.record("memory", float64(m), "peak-MB")
	b.row(row{name: "peak resident memory " + when, goal: atMost(limit, "MB"), value: float64(m)})
}

// A comparison is samples of the same figure of a contender and of its base, round by round.
type comparison struct{ of, to []float64 }

func (c *comparison) add(of, to float64) { c.of, c.to = append(c.of, of), append(c.to, to) }

// ratio is the median of the rounds' ratios; details are the medians, and all ratios.
func (c *comparison) ratio(unit string) (ratio float64, details string) {
	ratios := make([]float64, len(c.of))
	for i := range ratios {
		ratios[i] = c.of[i] / c.to[i]
	}
	return median(ratios), fmt.Sprintf("%s ÷ %s; ratios %.2f", figure(median(c.of), unit), figure(median(c.to), unit), ratios)
}

// ratioRow is the line of the report about a comparison.
func (b *bench) ratioRow(name string, g goal, c *comparison, unit, more string) {
	ratio, details := c.ratio(unit)
	b.row(row{name: name, goal: g, value: ratio, details: details + more})
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
