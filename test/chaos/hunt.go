package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// A hunt plays random histories until one fails or the time is over.
type hunt struct {
	open    func(T) Deployment
	over    func() bool
	summary *Summary
	found   *script // of the last history that failed: the shortest, once it is shrunk
}

// round lets rapid play histories. When one has failed, rapid shrinks it, and what
// rapid says to reproduce it is returned.
func (u *hunt) round(t rapid.TB) (advice string) {
	q := &quiet{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(q) {
			panic(r)
		}
		advice = q.said
	}()
	rapid.Check(q, u.history)
	return ""
}

// history draws and plays one.
func (u *hunt) history(t *rapid.T) {
	if u.found == nil && u.over() {
		return
	}
	h := begin(t.Context(), u.open)
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		if h.failure == "" {
			h.play(drawer{h.home}.step(t))
		}
	}})
	h.settle()
	h.close()
	if u.found == nil {
		u.summary.add(h)
	}
	if h.failure != "" {
		u.found = &script{Why: h.failure, Steps: h.steps}
		// Always in the same words, at the same place: rapid shrinks as long as
		// it sees the same failure, and ids differ from one time to the next.
		t.Fatalf("a history failed")
	}
}

// shorten leaves out of what was found all that it fails without. Where a step takes
// long, rapid does not get that far: it knows nothing of steps.
func (u *hunt) shorten(ctx context.Context) {
	for size := 16; size > 0; size /= 2 {
		for end := len(u.found.Steps); end > 0; end -= size {
			rest := slices.Delete(slices.Clone(u.found.Steps), max(end-size, 0), end)
			if failure := perform(ctx, u.open, rest); failure != "" {
				u.found = &script{Why: failure, Steps: rest}
			}
		}
	}
}

// perform plays a history that is given, and returns what did not hold.
func perform(ctx context.Context, open func(T) Deployment, steps []Step) (failure string) {
	h := begin(ctx, open)
	for _, step := range steps {
		h.play(step)
	}
	h.settle()
	h.close()
	return h.failure
}

// quiet keeps what rapid has to say of a failure. A history is reported in our words.
type quiet struct {
	rapid.TB
	said string
}

func (q *quiet) Logf(string, ...any)               {}
func (q *quiet) Log(...any)                        {}
func (q *quiet) Errorf(format string, args ...any) { q.said += fmt.Sprintf(format, args...) }
func (q *quiet) Failed() bool                      { return q.said != "" }
func (q *quiet) FailNow()                          { panic(q) }

// after is the hunt's end, d from now.
func after(d time.Duration) (over func() bool) {
	end := time.Now().Add(d)
	return func() bool { return !time.Now().Before(end) }
}
