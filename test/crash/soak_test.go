package main

import (
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"orders/test/service"
)

// flatSoak is a soak of half an hour that stayed in all bounds.
func flatSoak(t *testing.T, duration time.Duration) *soak {
	t.Helper()
	s, err := newSoak(duration, 20_000)
	if err != nil {
		t.Fatal(err)
	}
	s.achieved = float64(s.rate)
	for n := range int(s.duration / s.interval) {
		wave, end := math.Sin(float64(n)), time.Duration(n+1)*s.interval
		acknowledged := int64(end.Seconds()) * int64(s.rate)
		s.samples = append(s.samples, sample{
			end: end, acknowledged: acknowledged, memory: 80 + wave, file: float64(acknowledged) * 124 / 1e6, wal: 4.1, p99: 4 + wave,
		})
	}
	stored := int64(s.duration.Seconds()) * int64(s.rate)
	s.acknowledged.Store(stored)
	s.metrics = service.Metrics{TotalOrders: int(stored), StatusCounts: map[string]int{"Completed": int(stored)}}
	return s
}

func TestASoakThatStaysFlatPasses(t *testing.T) {
	for name, hiccup := range map[string]func([]sample){
		"all the time": func([]sample) {},
		"but for the time before it has settled": func(samples []sample) {
			for n := range samples[:18] {
				samples[n].memory, samples[n].p99, samples[n].file = 140, 500, 1000
			}
		},
		"but for a hiccup of the machine": func(samples []sample) {
			for n := range samples[170:] {
				samples[170+n].p99, samples[170+n].memory = 3000, 140
			}
		},
	} {
		s := flatSoak(t, 30*time.Minute)
		hiccup(s.samples)
		if err := s.judge(io.Discard); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// I1, I4, and the signs of a leak.
func TestASoakFailsOnWhatDoesNotStayFlat(t *testing.T) {
	each := func(change func(i *sample, growth float64)) func(*soak) {
		return func(s *soak) {
			for n := range s.samples {
				change(&s.samples[n], 1+s.samples[n].end.Seconds()/3000) // a fifth more in ten minutes
			}
		}
	}
	for want, spoil := range map[string]func(*soak){
		"resident memory, last third ÷ first third: 1.31 is not at most 1.1":         each(func(i *sample, growth float64) { i.memory *= growth }),
		"p99 of creates, last third ÷ first third: 1.32 is not at most 1.2":          each(func(i *sample, growth float64) { i.p99 *= growth }),
		"bytes of file an order, last third ÷ first third: 1.31 is not at most 1.05": each(func(i *sample, growth float64) { i.file *= growth }),
		"largest resident memory, MB: 160 is not at most 150":                        func(s *soak) { s.samples[100].memory = 160 },
		"largest -wal, MB: 200 is not at most 64":                                    func(s *soak) { s.samples[179].wal = 200 },
		"rate due ÷ achieved: 1.05 is not at most 1.02":                              func(s *soak) { s.achieved *= 0.95 },
		"or the reverse: 1 is not at most 0":                                         func(s *soak) { s.metrics.TotalOrders-- },
		"or the reverse: 2 is not at most 0":                                         func(s *soak) { s.acknowledged.Add(-2) },
		"orders unfinished when all are due: 1 is not at most 0":                     func(s *soak) { s.metrics.StatusCounts["Processing"]++ },
		"NaN is not at most": func(s *soak) { s.samples = nil },
	} {
		s := flatSoak(t, 30*time.Minute)
		spoil(s)
		if err := s.judge(io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one of %q", err, want)
		}
	}
}

func TestAShortSoakHasWiderBounds(t *testing.T) {
	for duration, wide := range map[time.Duration]bool{time.Minute: true, 30 * time.Minute: false} {
		s := flatSoak(t, duration)
		for n := range s.samples {
			s.samples[n].memory = 40 * (1 + float64(n)/float64(len(s.samples)))
		}
		if err := s.judge(io.Discard); (err == nil) != wide {
			t.Errorf("memory that doubles within %s: %v", duration, err)
		}
	}
	if s, err := newSoak(29*time.Second, 0); err == nil {
		t.Errorf("a soak of %s", s.duration)
	}
}
