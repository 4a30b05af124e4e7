package sqlite

import (
	"testing"

	"orders/test/chaos"
)

// TestChaos plays random histories on a real file: creates, replays, messages twice,
// early and out of order, clocks that step, commits that fail, and crashes before and
// behind every commit (I1 to I14, I17; F1 to F4, F8 to F11, F15, F20, F22, F23).
//
// The writer's own steps are called one by one, without its goroutine, so that a
// history that fails shrinks to the few steps that matter.
func TestChaos(t *testing.T) { chaos.Play(t, "embedded", openChaosHome) }
