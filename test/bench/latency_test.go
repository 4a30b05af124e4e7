package main

import (
	"math"
	"testing"
	"time"
)

func TestPercentileIsTheSmallestSampleThatSoManyDoNotExceed(t *testing.T) {
	var hundred []time.Duration
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, tt := range []struct {
		name    string
		samples []time.Duration
		p       float64
		want    time.Duration
	}{
		{"no samples", nil, 99, 0},
		{"one sample", []time.Duration{7}, 50, 7},
		{"p0 is the smallest", hundred, 0, 1},
		{"p50", hundred, 50, 50},
		{"p99", hundred, 99, 99},
		{"p99.5 rounds up", hundred, 99.5, 100},
		{"p100 is the largest", hundred, 100, 100},
		{"p99 of few is the largest", []time.Duration{3, 1, 2}, 99, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newLatencies(tt.samples).percentile(tt.p); got != tt.want {
				t.Errorf("percentile(%v) = %d, want %d", tt.p, got, tt.want)
			}
		})
	}
}

func TestLatenciesOfAllConnectionsAreTakenTogether(t *testing.T) {
	l := newLatencies([]time.Duration{9, 1}, nil, []time.Duration{5})
	if got := l.percentile(50); got != 5 {
		t.Errorf("the median of 9, 1 and 5 is %d", got)
	}
}

func TestMedianIsTheMiddleOrTheMeanOfTheTwoThere(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{[]float64{4}, 4},
		{[]float64{9, 1, 5}, 5},
		{[]float64{9, 1, 5, 6}, 5.5},
	} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.values, got, tt.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v, want NaN", got)
	}
}
