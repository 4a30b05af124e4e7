// Command crash kills the order service at random moments, a thousand times on
// the same database file, and holds it to what it promises:
//
//	go run ./test/crash -rounds 1000
//
// A round starts the service, puts it under the load of many connections, and
// ends it with SIGKILL. The program notes every answer that it gets, in a ledger, and
// compares each later answer with it: what was acknowledged is there, with the same
// content; a retry finds its own order; no status goes back; the numbers add up. Now
// and then `orders check` reads the file of the dead service. After the last round
// the service may finish what is left, and every single order is read.
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
	"os/signal"
	"syscall"
	"time"
)

// checkEvery is after how many rounds the whole file is checked, which takes
// longer the more orders there are, and a line tells how far the program is.
const checkEvery = 25

func main() {
	rounds := flag.Int("rounds", 1000, "how many times to kill the service")
	seed := flag.Uint64("seed", rand.Uint64(), "of the random numbers")
	connections := flag.Int("connections", 32, "how many clients there are at a time")
	shortest := flag.Duration("min", 20*time.Millisecond, "the least time that a service lives under load")
	longest := flag.Duration("max", 400*time.Millisecond, "the most time that a service lives under load")
	pause := flag.Duration("pause", 12*time.Millisecond, "up to which a client rests between two requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)

	fmt.Printf("crash: %d rounds, seed %d\n", *rounds, *seed)
	began := time.Now()
	home, err := newHome()
	if err == nil {
		t := &trial{
			home: home, ledger: newLedger(*connections), seed: *seed, connections: *connections,
			shortest: *shortest, longest: max(*shortest, *longest), pause: *pause,
		}
		err = t.run(ctx, *rounds)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		os.Exit(1)
	}
	fmt.Printf("crash: all promises kept, in %s\n", time.Since(began).Round(time.Second))
}

// A trial is one run of the program.
type trial struct {
	*home
	ledger      *ledger
	seed        uint64
	connections int
	// How long a service lives, and up to how long a client rests.
	shortest, longest, pause time.Duration

	round int
}

// run removes the files when all is well.
func (t *trial) run(ctx context.Context, rounds int) error {
	if err := t.rounds(ctx, rounds); err != nil {
		return fmt.Errorf("seed %d, round %d: %w\nThe database file and the log are kept in %s", t.seed, t.round, err, t.folder)
	}
	return errors.Join(t.log.Close(), os.RemoveAll(t.folder))
}

func (t *trial) rounds(ctx context.Context, rounds int) error {
	if err := t.build(ctx); err != nil {
		return err
	}
	for t.round < rounds {
		t.round++
		if err := t.crash(ctx); err != nil {
			return err
		}
		if t.round%checkEvery == 0 || t.round == rounds {
			if err := t.check(ctx); err != nil {
				return err
			}
			fmt.Printf("round %d: %s\n", t.round, t.ledger.summary())
		}
	}
	return t.finish(ctx)
}

// crash is one round. In one of ten, the service is killed while it starts.
func (t *trial) crash(ctx context.Context) error {
	defer t.ledger.killed()
	random := t.random(0)
	if t.round > 1 && random.IntN(10) == 0 {
		return t.startAndKill(ctx, upTo(30*time.Millisecond, random))
	}
	s, err := t.start(ctx)
	if err != nil {
		return err
	}
	l := &load{
		client: newClient(ctx, s.url, t.connections), ledger: t.ledger, service: s,
		pause: upTo(t.pause, random),
	}
	l.begin(t.connections, t.random)
	select {
	case <-time.After(t.shortest + upTo(t.longest-t.shortest, random)):
	case <-s.exited:
	}
	err = s.kill()
	failed := l.end()
	if ctx.Err() != nil {
		return ctx.Err() // which has killed the service
	}
	return errors.Join(failed, err)
}

// random is the source of random numbers of one worker in this round.
func (t *trial) random(worker int) *rand.Rand {
	return rand.New(rand.NewPCG(t.seed, uint64(t.round)<<16|uint64(worker)))
}

// upTo is a random duration of at most limit.
func upTo(limit time.Duration, random *rand.Rand) time.Duration {
	return time.Duration(random.Int64N(int64(limit) + 1))
}
