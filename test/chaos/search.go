package chaos

import (
	"context"
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// A search plays random histories until one fails or the time is over.
type search struct {
	open    func(T) Deployment
	over    func() bool
	summary *summary
	found   *script // of the last history that failed: the shortest, once it is shrunk
}

// round lets rapid play histories. When one fails, rapid shrinks it, and round returns rapid's advice
// how to reproduce it.
func (u *search) round(t rapid.TB) (advice string) {
	q := &silentTB{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(q) {
			panic(r)
		}
		advice = q.said
	}()
	rapid.Check(q, u.history)
	return ""
}

// history draws and plays a history.
func (u *search) history(t *rapid.T) {
	if u.found == nil && u.over() {
		return
	}
	h := begin(t.Context(), u.open)
	t.Repeat(map[string]func(*rapid.T){"step": func(t *rapid.T) {
		if h.failure == "" {
			h.play(drawer{h.deployment}.step(t))
		}
	}})
	h.finish()
	h.close()
	if u.found == nil {
		u.summary.add(h)
	}
	if h.failure != "" {
		u.found = &script{Why: h.failure, Steps: h.steps}
		// rapid shrinks as long as it sees the same failure, and ids differ each time, so
		// the text is constant.
		t.Fatalf("a history failed")
	}
}

// shorten removes all steps without which the history still fails. rapid, which knows no steps, does
// not get that far where steps are slow.
func (u *search) shorten(ctx context.Context) {
	for size := 16; size > 0; size /= 2 {
		for end := len(u.found.Steps); end > 0; end -= size {
			rest := slices.Delete(slices.Clone(u.found.Steps), max(end-size, 0), end)
			if failure := perform(ctx, u.open, rest); failure != "" {
				u.found = &script{Why: failure, Steps: rest}
			}
		}
	}
}

// perform plays the steps of a history and returns the failure, if any.
func perform(ctx context.Context, open func(T) Deployment, steps []Step) (failure string) {
	h := begin(ctx, open)
	for _, step := range steps {
		h.play(step)
	}
	h.finish()
	h.close()
	return h.failure
}

// A silentTB keeps what rapid reports of a failure. Play reports it in other words.
type silentTB struct {
	rapid.TB
	said string
}

func (q *silentTB) Logf(string, ...any)               {}
func (q *silentTB) Log(...any)                        {}
func (q *silentTB) Errorf(format string, args ...any) { q.said += fmt.Sprintf(format, args...) }
func (q *silentTB) Failed() bool                      { return q.said != "" }
func (q *silentTB) FailNow()                          { panic(q) }

// after returns a function that reports whether d has passed.
func after(d time.Duration) (over func() bool) {
	end := time.Now().Add(d)
	return func() bool { return !time.Now().Before(end) }
}
