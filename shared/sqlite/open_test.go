package sqlite

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orders/test/conformance"
)

// ownedFor returns the error of a start while a command reads the file for the time held, with a
// context that ends after the time ends.
func ownedFor(t *testing.T, held, ends time.Duration) (err error) {
	synctest.Test(t, func(t *testing.T) {
		path := newPath(t)
		overwrite(t, path, nil)
		overwrite(t, path+lockSuffix, nil)
		reader, failed := acquireReadLock(path)
		if failed != nil {
			t.Fatal(failed)
		}
		time.AfterFunc(held, func() { _ = reader.release() })
		ctx, cancel := context.WithTimeout(t.Context(), ends)
		defer cancel()
		var o *owner
		if o, err = acquireLock(ctx, path); err == nil {
			err = o.release()
		}
		time.Sleep(held)
	})
	return err
}

// A backup or a check at the same moment delays a start and does not fail it.
func TestAStartWaitsForAnotherCommandThatReadsForAMoment(t *testing.T) {
	for _, tt := range []struct {
		held, ends time.Duration
		want       error
	}{
		{lockTimeout / 2, time.Hour, nil},
		{2 * lockTimeout, time.Hour, ErrInUse},
		{2 * lockTimeout, lockTimeout / 2, context.DeadlineExceeded},
	} {
		if err := ownedFor(t, tt.held, tt.ends); !errors.Is(err, tt.want) {
			t.Errorf("inspected for %s, with a context that ends after %s: error %v, want %v", tt.held, tt.ends, err, tt.want)
		}
	}
}

// A beforeRead is a reader that calls a function before it reads.
type beforeRead func()

func (f beforeRead) Read(p []byte) (int, error) { f(); return len(p), nil }

// F25: a signal during the start ends it, and harms neither the file nor the log of a crash.
func TestAStartEndsWithItsContextAndHarmsNothing(t *testing.T) {
	now := epoch
	for name, prepare := range map[string]func(cfg *Config, cancel func()){
		"before it begins":               func(_ *Config, cancel func()) { cancel() },
		"after it has loaded the orders": func(cfg *Config, cancel func()) { cfg.Random = beforeRead(cancel) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.createOne()
			crashed := copied(t, r.path)
			r.close()
			for kind, path := range map[string]string{"closed": r.path, "of a crash": crashed} {
				ctx, cancel := context.WithCancel(t.Context())
				var logs bytes.Buffer
				cfg := byHand(path, &now)
				cfg.Log = slog.New(slog.NewTextHandler(&logs, nil))
				prepare(&cfg, cancel)
				if s, err := Open(ctx, cfg); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
					t.Fatalf("a file that was %s: store %v, error %v", kind, s, err)
				}
				cfg.Random = byHand(path, &now).Random
				s, err := Open(t.Context(), cfg)
				if err != nil {
					t.Fatalf("a file that was %s, opened again: %v", kind, err)
				}
				if tally, _ := s.Metrics(t.Context()); tally.Total() != 1 || logs.Len() > 0 {
					t.Errorf("a file that was %s, opened again: %d orders, log %s", kind, tally.Total(), &logs)
				}
				closeStore(t, s)
			}
		})
	}
}

// The context is for the start only.
func TestAStoreOutlivesTheContextOfItsStart(t *testing.T) {
	now := epoch
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Open(ctx, byHand(newPath(t), &now))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	makeOrder(t, s, completed)
	closeStore(t, s)
}

// Refusing thousands of orders is logged once at its beginning and once at its end.
func TestOverloadIsLoggedOnceAtItsBeginningAndEnd(t *testing.T) {
	now := epoch
	cfg := byHand("", &now)
	var logs bytes.Buffer
	cfg.Log = slog.New(slog.NewTextHandler(&logs, nil))
	s := newStore(cfg)
	said := func() (begun, over int) {
		return strings.Count(logs.String(), "level=ERROR"), strings.Count(logs.String(), "level=INFO")
	}
	for rounds := range 2 {
		for range 2 { // so many that the second group is full, too
			s.waiting.creates, s.waiting.transitions = make([]*createRequest, maxWaiting/2), make([]*transitionRequest, maxWaiting/2)
			close(s.waiting.done) // a request that is not refused must not wait for a commit
			for _, err := range []error{s.submit(&createRequest{}, nil), s.submit(nil, &transitionRequest{}), s.submit(&createRequest{}, nil)} {
				if !errors.Is(err, errOverloaded) {
					t.Fatalf("error %v, want %v", err, errOverloaded)
				}
			}
			if _, err := s.swapGroup(); err != nil {
				t.Fatal(err)
			}
		}
		if begun, over := said(); begun != rounds+1 || over != rounds {
			t.Errorf("while too many wait, it has logged %s", &logs)
		}
		for range 2 {
			_, _ = s.swapGroup()
		}
		if begun, over := said(); begun != rounds+1 || over != rounds+1 {
			t.Errorf("afterwards, it has logged %s", &logs)
		}
	}
}

func TestConformance(t *testing.T) { conformance.Run(t, openHarness) }

func openHarness(t *testing.T, external bool) conformance.Harness {
	cfg := storeConfig(newPath(t), 200*time.Millisecond)
	cfg.Fulfilment.External, cfg.Fulfilment.AttemptTimeout, cfg.Fulfilment.MaxAttempts = external, 2*time.Second, 2
	store, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeStore(t, store) })
	return conformance.Harness{Store: store, Metrics: store, ProcessingTime: cfg.Fulfilment.ProcessingTime}
}

func TestOpenReportsAllProblemsOfItsConfiguration(t *testing.T) {
	_, err := Open(t.Context(), Config{})
	for _, field := range []string{"Path", "ProcessingTime", "Now", "Random", "Log"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("error %v, without %s", err, field)
		}
	}
}

// I1, I9: a file of any older release is migrated with its values.
func TestAFileOfAnOlderReleaseIsMigratedWithItsValues(t *testing.T) {
	for version := 1; version < len(migrations); version++ {
		path := fileToCheck(t)
		want, err := Check(t.Context(), path)
		if err != nil || want.Tally.CompletedCount != 2 || want.Tally.DurationSumMillis == 0 {
			t.Fatalf("the file has %+v, %v", want, err)
		}
		runScript(t, path, "INSERT INTO dead_letters (dead_lettered_at, body, reason) VALUES (1800000000000, x'00', 'nonsense')")
		downgrade(t, path, version)
		closeStore(t, openStore(t, path, time.Hour/4))
		got, err := Check(t.Context(), path)
		if err != nil || got.Tally != want.Tally || got.DeadLetters != 1 || len(got.Findings) > 0 {
			t.Errorf("schema %d: got %+v, %v; want the tally %+v and a dead letter", version, got, err, want.Tally)
		}
		at, err := queryInt(connect(t, path), "SELECT dead_lettered_at FROM dead_letters")
		if err != nil || at != epoch.UnixMilli() {
			t.Errorf("schema %d: dead-lettered at %d, %v", version, at, err)
		}
	}
}
