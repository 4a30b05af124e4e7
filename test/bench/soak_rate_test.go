package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// The saturation of one machine says nothing about another, so a soak goes by the one on
// record only where that was measured.
func TestASoakTakesHalfOfTheSaturationOfThisMachine(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.MkdirAll("test/bench", 0o755); err != nil {
		t.Fatal(err)
	}
	b := &bench{sizes: short, out: io.Discard, dir: t.TempDir()}
	here := currentConditions("full")
	elsewhere := here
	elsewhere.Machine = "another"
	// A climb would start the service, which ends with the context.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name string
		on   conditions
		rate int
		want int // 0 when it has to be measured
	}{
		{"on record", here, 0, 20_000},
		{"of another machine", elsewhere, 0, 0},
		{"asked for", elsewhere, 3000, 3000},
	} {
		c := climbTo(60_000, 40_000)
		c.Conditions = tt.on
		if err := c.save(filepath.Join("test", "bench", climbFile)); err != nil {
			t.Fatal(err)
		}
		b.rate = tt.rate
		if got, err := b.soakRate(ctx); got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%s: rate %d and error %v, want %d", tt.name, got, err, tt.want)
		}
	}
}
