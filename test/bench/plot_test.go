package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// climbTo is a climb whose contenders keep their rates up to these.
func climbTo(echo, orders int) climb {
	c := climb{Contenders: []climber{{Name: "json echo"}, {Name: ordersName}}}
	for i, end := range []int{echo, orders} {
		climber := &c.Contenders[i]
		for n := 0; !climber.saturated(); n++ {
			rate := full.rateAt(n)
			s := step{Rate: rate, Achieved: float64(rate), P50: 0.5, P99: 2 + float64(rate)/10_000, P999: 3 + float64(rate)/5_000, Max: 30}
			if rate > end {
				s = step{Rate: rate, Achieved: float64(end) + 1234, P50: 150, P99: 300, P999: 420, Max: 500}
			}
			climber.Steps = append(climber.Steps, s)
		}
	}
	return c
}

// flatSoak is a soak of half an hour that met every goal.
func flatSoak() soakRecord {
	plan := newSoakPlan(30*time.Minute, 20_000)
	r := newSoakRecord(plan)
	for n := range plan.intervals() {
		wave := math.Sin(float64(n))
		end := time.Duration(n+1) * plan.interval
		acknowledged := int64(end.Seconds()) * int64(plan.rate)
		r.Intervals = append(r.Intervals, interval{
			End: end.Seconds(), Acknowledged: acknowledged, PerSecond: float64(plan.rate),
			MemoryMB: 80 + wave, ClientMB: 30, FileMB: float64(acknowledged) * 124 / 1e6, WALMB: 4.1,
			P50: 0.7, P99: 4 + wave, Max: 30, ReadP50: 0.3, ReadMax: 20,
		})
		r.Acknowledged, r.Stored = acknowledged, acknowledged
	}
	r.Achieved, r.CompletedAfter, r.CheckTook = float64(plan.rate), 50, 100
	return r
}

func TestPlotsNameWhatTheyShowAndAreTheSameForTheSameData(t *testing.T) {
	soak := flatSoak()
	for _, tt := range []struct {
		name string
		plot func(path string) error
		says []string
	}{
		{climbPlot, climbTo(60_000, 40_000).plot, []string{
			"creates due a second", "latency since due (ms)", "json echo p99", "orders p99.9", "orders p50", "40,000", "100",
		}},
		{soakPlot, soak.plot, []string{
			"20,000 creates a second for 30 minutes", "memory (MB)", "p99 of creates", "latency since due (ms)",
			"bytes of file an order", "size of the -wal (MB)", "time under load (minutes)",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			var drawn [2]string
			for i := range drawn {
				path := filepath.Join(dir, tt.name)
				if err := tt.plot(path); err != nil {
					t.Fatal(err)
				}
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				drawn[i] = string(data)
			}
			if drawn[0] != drawn[1] {
				t.Error("the same data were drawn in two ways")
			}
			for _, want := range tt.says {
				if !strings.Contains(drawn[0], ">"+want) {
					t.Errorf("the plot does not say %q", want)
				}
			}
		})
	}
}
