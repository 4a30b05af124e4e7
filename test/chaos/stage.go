package chaos

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
)

// A stage is what one history is played on. It is the T of its home, and keeps what
// has failed instead of telling the test: a history is played many times while it is
// shrunk.
type stage struct {
	ctx      context.Context
	end      context.CancelFunc
	cleanups []func()
	failure  string // what did not hold; empty while everything does
}

func newStage(ctx context.Context) *stage {
	s := &stage{}
	s.ctx, s.end = context.WithCancel(ctx)
	return s
}

func (s *stage) Helper()                  {}
func (s *stage) Logf(string, ...any)      {}
func (s *stage) Context() context.Context { return s.ctx }
func (s *stage) Cleanup(f func())         { s.cleanups = append(s.cleanups, f) }

// Fatalf notes what did not hold and leaves the act that is on.
func (s *stage) Fatalf(format string, args ...any) {
	s.failure = fmt.Sprintf(format, args...)
	panic(curtain{})
}

// curtain is what Fatalf panics with.
type curtain struct{}

// act does a part of the history, unless an earlier one has failed. A panic is a
// failure, too.
func (s *stage) act(do func()) {
	if s.failure != "" {
		return
	}
	s.guard(do)
}

func (s *stage) guard(do func()) {
	defer func() {
		r := recover()
		if _, told := r.(curtain); r != nil && !told {
			s.failure = fmt.Sprintf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	do()
}

// close gives back what the home has taken. The first failure counts.
func (s *stage) close() {
	s.end()
	first := s.failure
	for _, cleanup := range slices.Backward(s.cleanups) {
		s.guard(cleanup)
	}
	if first != "" {
		s.failure = first
	}
}
