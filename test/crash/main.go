// Command crash kills the order service at random moments, a thousand times on
// the same database file, and checks that it keeps its promises:
//
//	go run ./test/crash -rounds 1000
//
// A round starts the service, puts it under the load of many connections, and
// ends it with SIGKILL. The program notes every response in a ledger, and compares each
// later response with it: an acknowledged order is there, with the same content; a retry
// finds its own order; no version goes back; a cancelled order stays cancelled, and so
// does all else that a call has done; the numbers add up. Now and then `orders check`
// reads the file of the dead service. After the last round the service may finish its
// orders, and every single order is read.
//
// Orders are completed by the timer, or by clients that are workers: they complete, fail,
// answer late, or never. The seed decides, or -fulfilment.
//
// With -soak it kills nothing: one service takes creates at an even rate for so long, and
// its memory, its latency and its file must stay flat:
//
//	go run ./test/crash -soak 30m
//
// The invariants are those of docs/design.md. The first one that does not hold
// ends the program with exit code 1; the database file and the log stay for
// inspection. The seed, which is printed, sets the moments and the mix of requests,
// but not how the system schedules them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"orders/test/ledger"
	"orders/test/service"
)

const (
	// checkEvery is after how many rounds the whole file is checked, which takes
	// longer the more orders there are, and a line tells how far the program is.
	checkEvery = 25
	// processingTime is how long an order of the trial stays in Processing: so
	// short that the life of an order goes over several rounds, and not too many.
	processingTime = 300 * time.Millisecond
	// maxAttempts is how often a worker may leave an order without an answer, for the
	// processing time each.
	maxAttempts = 3
	// finishLimit bounds the wait until no order is Pending or Processing, when there are no
	// more requests and no more kills.
	finishLimit = time.Minute
)

func main() {
	rounds := flag.Int("rounds", 1000, "how many times to kill the service")
	seed := flag.Uint64("seed", rand.Uint64(), "of the random numbers")
	connections := flag.Int("connections", 32, "how many clients there are at a time")
	shortest := flag.Duration("min", 20*time.Millisecond, "the least time that a service lives under load")
	longest := flag.Duration("max", 400*time.Millisecond, "the most time that a service lives under load")
	pause := flag.Duration("pause", 12*time.Millisecond, "up to which a client rests between two requests")
	soakFor := flag.Duration("soak", 0, "load one service for this long instead, and see whether it stays flat")
	rate := flag.Int("rate", 0, "creates a second of -soak (default half of the saturation, which is measured first)")
	fulfilment := flag.String("fulfilment", "", "timer or external (default one of them, by the seed)")
	flag.Parse()
	if *fulfilment == "" {
		*fulfilment = []string{"timer", "external"}[*seed%2]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)

	began, name := time.Now(), "crash"
	var err error
	if *soakFor != 0 {
		name = "soak"
		var s *soak
		if s, err = newSoak(*soakFor, *rate); err == nil {
			err = s.run(ctx)
		}
	} else {
		fmt.Printf("crash: %d rounds, seed %d, fulfilment %s\n", *rounds, *seed, *fulfilment)
		external := *fulfilment == "external"
		book := ledger.New(processingTime)
		if external {
			book = ledger.NewExternal(processingTime, maxAttempts)
		}
		t := &trial{
			ledger: book, requests: &requests{ledger: book, connections: *connections}, seed: *seed, connections: *connections,
			shortest: *shortest, longest: max(*shortest, *longest), pause: *pause, external: external,
		}
		err = t.run(ctx, *rounds)
	}
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Printf("%s: all promises kept, in %s\n", name, time.Since(began).Round(time.Second))
}

// A trial is one run of the program.
type trial struct {
	folder, program, db string
	log                 *os.File // of the service

	ledger      *ledger.Ledger
	requests    *requests
	seed        uint64
	connections int
	// How long a service lives, and up to how long a client rests.
	shortest, longest, pause time.Duration
	external                 bool // whether clients complete the orders

	round int
}

// run removes the files when all is well.
func (t *trial) run(ctx context.Context, rounds int) (err error) {
	if t.folder, err = os.MkdirTemp("", "orders-crash-"); err != nil {
		return err
	}
	t.db = filepath.Join(t.folder, "orders.db")
	if t.log, err = os.Create(filepath.Join(t.folder, "orders.log")); err != nil {
		return err
	}
	if t.program, err = service.Build(ctx, t.folder, "orders/cmd/orders"); err == nil {
		err = t.rounds(ctx, rounds)
	}
	if err != nil {
		return fmt.Errorf("seed %d, round %d: %w\nThe database file and the log are kept in %s", t.seed, t.round, err, t.folder)
	}
	return errors.Join(t.log.Close(), os.RemoveAll(t.folder))
}

func (t *trial) rounds(ctx context.Context, rounds int) error {
	for t.round < rounds {
		t.round++
		if err := t.crash(ctx); err != nil {
			return err
		}
		if t.round%checkEvery == 0 || t.round == rounds {
			if err := t.check(ctx); err != nil {
				return err
			}
			acknowledged, lost := t.ledger.Counts()
			fmt.Printf("round %d: %d kills, %d orders acknowledged, %d responses lost\n", t.round, t.requests.kills, acknowledged, lost)
		}
	}
	return t.finish(ctx)
}

func (t *trial) command(ctx context.Context) *exec.Cmd {
	var flags []string
	if t.external {
		flags = []string{"--fulfilment", "external", "--attempt-timeout", processingTime.String(), "--max-attempts", strconv.Itoa(maxAttempts)}
	}
	cmd := service.Orders(ctx, t.program, t.db, processingTime, flags...)
	cmd.Stderr = t.log
	return cmd
}

// start returns when the service listens.
func (t *trial) start(ctx context.Context) (*service.Process, error) {
	p, err := service.Start(t.command(ctx))
	return p, recovers(err)
}

// recovers makes a violation of the end of a service.
func recovers(err error) error {
	if err == nil {
		return nil
	}
	return ledger.Broken(ledger.Recovers, "%v", err)
}

// crash is one round. In one of ten, the service is killed while it starts.
func (t *trial) crash(ctx context.Context) error {
	defer t.requests.killed()
	random := t.random(0)
	if t.round > 1 && random.IntN(10) == 0 {
		p, err := service.Run(t.command(ctx))
		if err != nil {
			return err
		}
		time.Sleep(upTo(30*time.Millisecond, random))
		return recovers(p.Kill())
	}
	p, err := t.start(ctx)
	if err != nil {
		return err
	}
	l := &load{
		ctx: ctx, client: service.NewClient(p.URL, t.connections), process: p, requests: t.requests, ledger: t.ledger,
		pause: upTo(t.pause, random), external: t.external,
	}
	l.begin(t.connections, t.random)
	select {
	case <-time.After(t.shortest + upTo(t.longest-t.shortest, random)):
	case <-p.Exited():
	}
	err = recovers(p.Kill())
	failed := l.end()
	if ctx.Err() != nil {
		return ctx.Err() // which has killed the service
	}
	return errors.Join(failed, err)
}

// check reads the file that a dead or stopped service has left.
func (t *trial) check(ctx context.Context) error {
	err := service.Check(ctx, t.program, t.db)
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return ledger.Broken(ledger.Consistent, "%v", err)
	}
	return err
}

// finish lets the service finish the orders, and then reads everything.
func (t *trial) finish(ctx context.Context) error {
	p, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	c := service.NewClient(p.URL, t.connections)
	l := &load{ctx: ctx, client: c, process: p, requests: t.requests, ledger: t.ledger}
	for _, r := range t.requests.takeLost() {
		if err := l.create(r); err != nil {
			return ledger.OfResponse(err)
		}
	}
	acknowledged, _ := t.ledger.Counts()
	if err := ledger.AwaitCompletion(ctx, c, acknowledged, finishLimit); err != nil {
		return err
	}
	if err := (&ledger.Audit{Ledger: t.ledger, Client: c}).Run(ctx); err != nil {
		return err
	}
	if err := errors.Join(c.Close(), recovers(p.Stop())); err != nil {
		return err
	}
	return t.check(ctx)
}

// random is the source of random numbers of one worker in this round.
func (t *trial) random(worker int) *rand.Rand {
	return rand.New(rand.NewPCG(t.seed, uint64(t.round)<<16|uint64(worker)))
}

// upTo is a random duration of at most limit.
func upTo(limit time.Duration, random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(limit) + 1))
}
