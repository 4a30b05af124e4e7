package main

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestARateIsKeptWhenItIsAchievedInTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		step step
		kept bool
	}{
		{"all in time", step{Rate: 1000, Achieved: 1000, P99: 3}, true},
		{"at both bounds", step{Rate: 1000, Achieved: 980, P99: 100, Max: 5000}, true},
		{"fewer than were due", step{Rate: 1000, Achieved: 979, P99: 3}, false},
		{"too late", step{Rate: 1000, Achieved: 1000, P99: 101}, false},
	} {
		if got := tt.step.kept(); got != tt.kept {
			t.Errorf("%s: kept = %t", tt.name, got)
		}
	}
}

func TestALoadAchievesNoMoreThanTheServerDoes(t *testing.T) {
	const answerTime = 500 * time.Millisecond // so all connections make 2,000 a second
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(answerTime)
		created(w)
	})
	res, err := load{requests: newCreates(false), rate: 10_000, duration: 300 * time.Millisecond}.run(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if s := newStep(10_000, res); s.Achieved > 2000 || s.kept() {
		t.Errorf("%+v counts as kept", s)
	}
}

func TestRatesRiseStepByStep(t *testing.T) {
	for _, tt := range []struct {
		sizes sizes
		want  []int
	}{
		{full, []int{1_000, 2_000, 5_000, 10_000, 15_000, 20_000}},
		{short, []int{1_000, 20_000, 40_000, 60_000}},
	} {
		var got []int
		for n := range tt.want {
			got = append(got, tt.sizes.rateAt(n))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("the %s form has the rates %v, want %v", tt.sizes.form, got, tt.want)
		}
	}
}

func TestSaturationIsTheHighestRateThatWasKept(t *testing.T) {
	c := climbTo(15_000, 5_000)
	if echo, orders := c.Contenders[0], c.Contenders[1]; echo.saturation() != 15_000 || orders.saturation() != 5_000 {
		t.Errorf("saturation of the echo %d, of orders %d", echo.saturation(), orders.saturation())
	}
	if (climber{}).saturation() != 0 || (climber{}).saturated() {
		t.Error("who has not climbed is saturated")
	}
	var table strings.Builder
	for _, r := range c.rows() {
		table.WriteString(r.markdown())
	}
	for _, want := range []string{
		"| highest rate of creates kept ÷ json echo | – | orders 5,000/s, of 10,000/s then 6,234/s; json echo 15,000/s, of 20,000/s then 16,234/s | 0.33 | – |",
		"| p99 of creates at 5,000/s, climbing | – | p50 0.5 ms, p99 2.5 ms; echo p50 0.5 ms, p99 2.5 ms | 1.00 | – |",
		"| p99 of creates at 10,000/s, climbing | – | p50 150.0 ms, p99 300.0 ms at 6,234/s; echo p50 0.5 ms, p99 3.0 ms | 100.00 | – |",
		"| p99 of creates at 20,000/s, climbing | – | –; echo p50 150.0 ms, p99 300.0 ms at 16,234/s | – | – |",
	} {
		if !strings.Contains(table.String(), want+"\n") {
			t.Errorf("no row %s in\n%s", want, &table)
		}
	}
}

func TestAClimbIsReadAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), climbFile)
	if _, err := readClimb(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("before it is saved: %v", err)
	}
	c := climbTo(10_000, 5_000)
	if err := c.save(path); err != nil {
		t.Fatal(err)
	}
	read, err := readClimb(path)
	if err != nil || !slices.Equal(read.Contenders[1].Steps, c.Contenders[1].Steps) {
		t.Errorf("read %+v, %v", read, err)
	}
}
