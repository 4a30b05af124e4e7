package chaos

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A search plays random histories until one fails or the time is over.
type search struct {
	open    Open
	over    func() bool
	summary *summary
	found   *script // of the history that failed
}

// maxSteps is the largest number of steps of a random history.
const maxSteps = 60

// play plays random histories, and logs its progress once a minute. The seeds of all histories are
// those that follow the summary's.
func (u *search) play(t *testing.T) {
	began, minute := time.Now(), after(time.Minute)
	for seed := u.summary.Seed; u.found == nil && !u.over(); seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		external := random.IntN(2) == 0
		h := begin(t.Context(), u.open, external)
		for n := random.IntN(maxSteps); n > 0 && h.failure == ""; n-- {
			h.play(drawer{random, h.deployment}.step())
		}
		h.finish()
		h.close()
		u.summary.add(h)
		u.summary.Seconds = int(time.Since(began).Seconds())
		if h.failure != "" {
			t.Logf("seed %d", seed)
			u.found = &script{Why: h.failure, External: external, Steps: h.steps}
		}
		if minute() {
			t.Logf("%d s: %d histories, %d steps", u.summary.Seconds, u.summary.Histories, u.summary.Steps)
			minute = after(time.Minute)
		}
	}
}

// shorten removes all steps without which the history still fails, and then all parts of the others.
func (u *search) shorten(ctx context.Context) {
	for size := 16; size > 0; size /= 2 {
		for end := len(u.found.Steps); end > 0; end -= size {
			u.try(ctx, slices.Delete(slices.Clone(u.found.Steps), max(end-size, 0), end))
		}
	}
	for i := range u.found.Steps {
		without := func(change func(*Step)) {
			steps := slices.Clone(u.found.Steps)
			change(&steps[i])
			u.try(ctx, steps)
		}
		without(func(s *Step) { s.Fault = "" })
		for n := range slices.Backward(u.found.Steps[i].Drafts) {
			without(func(s *Step) {
				if len(s.Drafts) > 1 {
					s.Drafts = slices.Delete(slices.Clone(s.Drafts), n, n+1)
				}
			})
		}
		without(func(s *Step) { s.Race = false })
		for n := range slices.Backward(u.found.Steps[i].Calls) {
			without(func(s *Step) {
				if len(s.Calls) > 1 {
					s.Calls = slices.Delete(slices.Clone(s.Calls), n, n+1)
				}
			})
		}
		for n := range slices.Backward(u.found.Steps[i].Messages) {
			without(func(s *Step) {
				if len(s.Messages) > 1 {
					s.Messages = slices.Delete(slices.Clone(s.Messages), n, n+1)
				}
			})
		}
	}
}

// try takes these steps for those that were found if they fail, too.
func (u *search) try(ctx context.Context, steps []Step) {
	external := u.found.External
	if failure := perform(ctx, u.open, external, steps); failure != "" {
		u.found = &script{Why: failure, External: external, Steps: steps}
	}
}

// perform plays the steps of a history and returns the failure, if any.
func perform(ctx context.Context, open Open, external bool, steps []Step) (failure string) {
	h := begin(ctx, open, external)
	for _, step := range steps {
		h.play(step)
	}
	h.finish()
	h.close()
	return h.failure
}

// after returns a function that reports whether d has passed.
func after(d time.Duration) (over func() bool) {
	end := time.Now().Add(d)
	return func() bool { return !time.Now().Before(end) }
}
