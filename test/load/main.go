// Command load puts Locust users on the service and audits the store afterwards:
//
//	go run ./test/load -users 200 -spawn 50 -duration 30s
//
// It starts a service of its own on a fresh file, or takes the one at -host. The users are written in
// Python, beside this file; they check each response and note each order in a ledger. Ctrl-C ends them
// early. Then the program waits until every order is Completed, and compares the whole store with the
// ledger. It exits with 1 when a response was wrong or a promise does not hold.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"orders/test/ledger"
	"orders/test/service"
)

const (
	python = ".tools/locust/bin/python"
	// maxLag bounds how late a completion may be.
	maxLag = time.Second
	// finishTimeout bounds the wait for the last orders, beyond the processing time.
	finishTimeout = 30 * time.Second
)

// settings are the command line.
type settings struct {
	users, spawn                  int // spawn is users a second
	duration, processingTime, lag time.Duration
	host                          string
	ui                            bool
}

func main() {
	var s settings
	flag.IntVar(&s.users, "users", 1000, "how many there are")
	flag.IntVar(&s.spawn, "spawn", 100, "how many come a second")
	flag.DurationVar(&s.duration, "duration", 5*time.Minute, "of the load")
	flag.DurationVar(&s.processingTime, "processing-time", 50*time.Second, "of the service")
	flag.DurationVar(&s.lag, "lag", 0, "how far list and metrics may be behind, on AWS")
	flag.StringVar(&s.host, "host", "", "`URL` of a service that runs (default one of our own)")
	flag.BoolVar(&s.ui, "ui", false, "let Locust's own page set users, spawn and duration")
	flag.Parse()
	s.host = strings.TrimRight(s.host, "/")
	// Ctrl-C ends Locust alone, so it must not end this context.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	err := run(ctx, s)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, s settings) (err error) {
	if err := requireOpenFiles(uint64(s.users)); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "orders-load-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	if s.host != "" {
		return s.playAndAudit(ctx, s.host, folder)
	}
	program, err := service.Build(ctx, folder, "orders/cmd/orders")
	if err != nil {
		return err
	}
	db := filepath.Join(folder, "orders.db")
	cmd := service.Orders(ctx, program, db, s.processingTime)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // or Ctrl-C would end it before the audit
	p, err := service.Start(cmd)
	if err != nil {
		return err
	}
	defer p.Close()
	return errors.Join(s.playAndAudit(ctx, p.URL, folder), p.Stop(), service.Check(ctx, program, db))
}

// requireOpenFiles raises the limit of open files for the service and for Locust, which inherit it:
// each user holds a connection in both.
func requireOpenFiles(users uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	needed := users + 200
	if limit.Max < needed {
		return fmt.Errorf("%d users need %d open files, and the limit is %d: raise it, or take fewer users", users, needed, limit.Max)
	}
	limit.Cur = max(limit.Cur, needed)
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

func (s settings) playAndAudit(ctx context.Context, url, folder string) error {
	c := service.NewClient(url, ledger.AuditReaders)
	defer c.Close()
	before, err := c.Metrics(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(folder, "ledger")
	played := s.play(ctx, url, path)
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	return errors.Join(played, s.audit(ctx, c, path, before.TotalOrders > 0))
}

// play lets Locust play the users.
func (s settings) play(ctx context.Context, url, path string) error {
	seconds := func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
	args := []string{
		"-B", "-m", "locust", "--locustfile", "test/load/locustfile.py", "--html", "test/load/report.html",
		"--host", url, "--users", strconv.Itoa(s.users), "--spawn-rate", strconv.Itoa(s.spawn), "--stop-timeout", "30",
		"--processing-time", seconds(s.processingTime), "--lag", seconds(s.lag), "--ledger", path,
	}
	if s.ui {
		fmt.Printf("load: %s, start it at http://127.0.0.1:8089\n", url)
		args = append(args, "--web-host", "127.0.0.1")
	} else {
		fmt.Printf("load: %s, %d users for %s\n", url, s.users, s.duration)
		args = append(args, "--headless", "--only-summary", "--run-time", seconds(s.duration)+"s")
	}
	interrupts := make(chan os.Signal, 1) // they are left to Locust, which gets them, too
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	cmd := exec.CommandContext(ctx, python, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("a response was wrong, or Locust failed: %w", err)
	}
	return nil
}

// audit compares the store with the ledger at that path.
func (s settings) audit(ctx context.Context, c *service.Client, path string, shared bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	book := ledger.New(s.processingTime)
	read := book.Read(file)
	if read != nil && !ledger.IsViolation(read) {
		return read
	}
	acknowledged, lost := book.Counts()
	if acknowledged == 0 {
		return errors.New("no order was acknowledged")
	}
	fmt.Println("load: waiting for the last orders, then reading the whole store")
	err = ledger.AwaitCompletion(ctx, c, acknowledged, s.processingTime+s.lag+finishTimeout)
	if err != nil && !ledger.IsViolation(err) { // the audit names the orders
		return err
	}
	a := &ledger.Audit{Ledger: book, Client: c, MaxLife: s.processingTime + s.lag + maxLag, Shared: shared, Attempts: 1}
	if s.host != "" {
		a.Attempts = 5
	}
	err = a.Run(ctx)
	fmt.Printf("load: %d orders acknowledged, %d responses lost, %d orders in the store, the longest life %s\n",
		acknowledged, lost, a.Orders(), a.LongestLife)
	return errors.Join(read, err)
}
