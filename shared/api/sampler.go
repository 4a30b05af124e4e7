package api

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// linesPerSecond is how many lines of each kind a Sampler allows.
const linesPerSecond = 10

// A Sampler limits how much clients can make a log grow. It allows the first ten lines of each kind
// in a second, and counts the others. The counts are logged with the first request of a later second,
// or by Flush. It needs no goroutine and no timer. All methods may be called concurrently.
type Sampler struct {
	log *slog.Logger
	due atomic.Int64 // the second (Unix time) whose counts are not logged yet; 0 if there are none

	mu     sync.Mutex
	second int64 // the second (Unix time) of lines
	lines  map[lineKind]int
}

// Lines of the same lineKind are counted together.
type lineKind struct {
	level  slog.Level
	route  string
	status int
}

// NewSampler returns a Sampler that logs its counts to log.
func NewSampler(log *slog.Logger) *Sampler {
	return &Sampler{log: log, lines: map[lineKind]int{}}
}

// Allow counts a line and reports whether it may be written. A line that does not concern a request
// has the status 0.
func (s *Sampler) Allow(now time.Time, level slog.Level, route string, status int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if second := now.Unix(); second != s.second {
		s.flush()
		s.second = second
	}
	kind := lineKind{level, route, status}
	s.lines[kind]++
	if s.lines[kind] <= linesPerSecond {
		return true
	}
	s.due.Store(s.second)
	return false
}

// tick logs the counts of an earlier second. It is cheap if there are none.
func (s *Sampler) tick(now time.Time) {
	if due := s.due.Load(); due != 0 && due != now.Unix() {
		s.Flush()
	}
}

// Flush logs the counts now. Call it before the log ends.
func (s *Sampler) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flush()
}

func (s *Sampler) flush() {
	for kind, n := range s.lines {
		if n > linesPerSecond {
			s.log.LogAttrs(context.Background(), kind.level, "more lines of this kind were not logged",
				slog.String("route", kind.route), slog.Int("status", kind.status), slog.Int("count", n-linesPerSecond))
		}
	}
	clear(s.lines)
	s.due.Store(0)
}
