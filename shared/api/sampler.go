package api

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// linesPerSecond is how many lines of a kind a Sampler lets through.
const linesPerSecond = 10

// A Sampler bounds what clients can make a log grow by: of each kind of line it lets the first
// ten of a second through and counts the others. The counts are logged with the first request of
// a later second, or by Flush. It has no goroutine and no timer. All methods may be called
// concurrently.
type Sampler struct {
	log *slog.Logger
	due atomic.Int64 // the second, in Unix time, of which something was counted; else 0

	mu     sync.Mutex
	second int64 // which lines is about
	lines  map[lineKind]int
}

// A lineKind is what lines have in common that are counted together.
type lineKind struct {
	level  slog.Level
	route  string
	status int
}

// NewSampler returns a Sampler that logs its counts to log.
func NewSampler(log *slog.Logger) *Sampler {
	return &Sampler{log: log, lines: map[lineKind]int{}}
}

// Allow reports whether a line may be written, and counts it. The route and the HTTP status say
// of which kind it is; a line that is about no request has the status 0.
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

// tick logs the counts of an earlier second. It costs next to nothing when there are none.
func (s *Sampler) tick(now time.Time) {
	if due := s.due.Load(); due != 0 && due != now.Unix() {
		s.Flush()
	}
}

// Flush logs the counts now, because the log is about to end.
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
