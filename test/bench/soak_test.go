package main

import (
	"encoding/json/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestASoakThatStaysFlatMeetsEveryGoal(t *testing.T) {
	for name, hiccup := range map[string]func(*soakRecord){
		"all the time": func(*soakRecord) {},
		"but for what comes before it has settled": func(r *soakRecord) {
			for n := range r.Intervals[:18] {
				r.Intervals[n].MemoryMB, r.Intervals[n].P99, r.Intervals[n].FileMB = 140, 500, 1000
			}
		},
		"but for a hiccup of the machine": func(r *soakRecord) {
			for n := range r.Intervals[170:] {
				r.Intervals[170+n].P99, r.Intervals[170+n].MemoryMB = 3000, 140
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := flatSoak()
			hiccup(&r)
			r.judge()
			if err := r.failure(); err != nil {
				t.Error(err)
			}
		})
	}
}

// I1, I4, and what a leak would be seen by.
func TestASoakFailsOnWhatDoesNotStayFlat(t *testing.T) {
	// growing is how many times as high a figure has become: a fifth more in ten minutes.
	growing := func(i interval) float64 { return 1 + i.End/3000 }
	each := func(change func(*interval)) func(*soakRecord) {
		return func(r *soakRecord) {
			for n := range r.Intervals {
				change(&r.Intervals[n])
			}
		}
	}
	for want, spoil := range map[string]func(*soakRecord){
		"resident memory, last third ÷ first third: 1.31 is not ≤ 1.1":                  each(func(i *interval) { i.MemoryMB *= growing(*i) }),
		"p99 of creates, last third ÷ first third: 1.31 is not ≤ 1.2":                   each(func(i *interval) { i.P99 *= growing(*i) }),
		"bytes of file an order, last third ÷ first third: 1.31 is not ≤ 1.05":          each(func(i *interval) { i.FileMB *= growing(*i) }),
		"largest resident memory: 160 is not ≤ 150 MB":                                  func(r *soakRecord) { r.Intervals[100].MemoryMB = 160 },
		"largest -wal: 200 is not ≤ 64 MB":                                              func(r *soakRecord) { r.Intervals[179].WALMB = 200 },
		"rate achieved ÷ due: 0.95 is not ≥ 0.98":                                       func(r *soakRecord) { r.Achieved *= 0.95 },
		"orders stored that were not acknowledged, or the reverse: 1 is not ≤ 0 orders": func(r *soakRecord) { r.Stored-- },
		"or the reverse: 2 is not ≤ 0 orders":                                           func(r *soakRecord) { r.Stored += 2 },
		"orders unfinished when all are due: 1 is not ≤ 0 orders":                       func(r *soakRecord) { r.Unfinished = 1 },
		"orders check: exit status 1: finding":                                          func(r *soakRecord) { r.CheckFailed = "exit status 1: finding" },
	} {
		t.Run(want, func(t *testing.T) {
			r := flatSoak()
			spoil(&r)
			r.judge()
			if err := r.failure(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("failure = %v, want one of %q", err, want)
			}
		})
	}
}

func TestAShortSoakHasWiderBoundsAndSaysSo(t *testing.T) {
	plan := newSoakPlan(time.Minute, 3000)
	if !plan.short || plan.intervals() != 30 || plan.interval != 2*time.Second || plan.settle != 6*time.Second {
		t.Fatalf("plan = %+v", plan)
	}
	r := flatSoak()
	for n := range r.Intervals {
		r.Intervals[n].MemoryMB = 40 + r.Intervals[n].End/30
	}
	r.judge()
	if r.failure() == nil {
		t.Error("memory may double in half an hour")
	}
	r.Conditions.Form = plan.form()
	r.judge()
	if err := r.failure(); err != nil {
		t.Errorf("memory must not grow in a minute: %v", err)
	}
	if !strings.Contains(r.markdown(), "shorter than 10m0s") {
		t.Errorf("nothing says that the bounds are wider:\n%s", r.markdown())
	}
}

func TestASoakIsKeptAsData(t *testing.T) {
	r := flatSoak()
	r.judge()
	dir := t.TempDir()
	if err := r.save(dir, dir); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, soakFile))
	if err != nil {
		t.Fatal(err)
	}
	var read soakRecord
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if read.markdown() != r.markdown() || len(read.Intervals) != 180 || read.Intervals[7] != r.Intervals[7] {
		t.Errorf("what was kept says\n%swant\n%s", read.markdown(), r.markdown())
	}
	if _, err := os.Stat(filepath.Join(dir, soakPlot)); err != nil {
		t.Error(err)
	}
}

func TestACreateCountsInTheIntervalInWhichItWasDue(t *testing.T) {
	plan := newSoakPlan(time.Minute, 100)
	w := newSoakWatch(nil, nil, "", plan)
	w.observe(0, time.Millisecond)
	w.observe(3*time.Second, 30*time.Second) // answered long after the interval
	w.observe(plan.duration, time.Second)    // rounding must not lead beyond the last
	for n, want := range map[int]time.Duration{0: time.Millisecond, 1: 30 * time.Second, 16: 0, 29: time.Second} {
		if got := w.creates[n].max(); got != want {
			t.Errorf("interval %d: the longest is %s, want %s", n, got, want)
		}
	}
	if n := w.acknowledged.Load(); n != 3 {
		t.Errorf("%d are acknowledged, want 3", n)
	}
}
