package main

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A soakRecord is what a soak found, as soak.json keeps it. Times are in seconds
// where the name does not say milliseconds.
type soakRecord struct {
	Conditions conditions `json:"conditions"`
	Rate       int        `json:"rate"` // creates a second that were due
	Achieved   float64    `json:"achieved"`
	Duration   float64    `json:"duration_s"`
	Settle     float64    `json:"settle_s"` // the time before what is judged
	Interval   float64    `json:"interval_s"`
	Intervals  []interval `json:"intervals"`

	Acknowledged int64 `json:"acknowledged"` // orders
	Stored       int64 `json:"stored"`
	// Unfinished orders were due and not Completed CompletedAfter the last answer.
	Unfinished     int64   `json:"unfinished"`
	CompletedAfter float64 `json:"completed_after_s"`
	CheckTook      float64 `json:"check_s,omitzero"` // 0 when the file was not checked
	CheckFailed    string  `json:"check_failed,omitzero"`

	Rows []row `json:"rows"`
}

// An interval is what was seen at its end and, of latencies, during it. Latencies
// are in milliseconds, and of the creates that were due in it.
type interval struct {
	End          float64 `json:"end_s"` // since the load began
	Acknowledged int64   `json:"acknowledged"`
	PerSecond    float64 `json:"per_second"` // acknowledged during it
	MemoryMB     float64 `json:"memory_mb"`
	ClientMB     float64 `json:"client_mb"` // the memory of the load generator
	FileMB       float64 `json:"file_mb"`
	WALMB        float64 `json:"wal_mb"`
	P50          float64 `json:"p50_ms"`
	P99          float64 `json:"p99_ms"`
	Max          float64 `json:"max_ms"`
	ReadP50      float64 `json:"read_p50_ms"`
	ReadMax      float64 `json:"read_max_ms"`
}

// bytesPerOrder is of the file without its -wal.
func (i interval) bytesPerOrder() float64 { return i.FileMB * 1e6 / float64(i.Acknowledged) }

func newSoakRecord(plan soakPlan) soakRecord {
	return soakRecord{
		Conditions: currentConditions(plan.form()), Rate: plan.rate,
		Duration: plan.duration.Seconds(), Settle: plan.settle.Seconds(), Interval: plan.interval.Seconds(),
	}
}

func (r *soakRecord) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "| soak: %s creates/s for %.0f s | goal | measured | ratio | result |\n|---|---|---|---|---|\n", grouped(r.Rate), r.Duration)
	for _, row := range r.Rows {
		b.WriteString(row.markdown())
	}
	fmt.Fprintf(&b, "\n%s\n", r.Conditions)
	if r.short() {
		fmt.Fprintf(&b, "It was shorter than %s, in which the service settles: the bounds of what must stay flat are wider.\n", settledBy)
	}
	return b.String()
}

func (r *soakRecord) short() bool { return r.Conditions.Form == "short" }

// soakFile is the name of the data of the last soak, soakPlot of what is drawn of it.
const (
	soakFile = "soak.json"
	soakPlot = "soak.svg"
)

// save writes the data into one directory, and the plot of them into another.
func (r *soakRecord) save(results, plots string) error {
	data, err := json.Marshal(r, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(results, soakFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	return r.plot(filepath.Join(plots, soakPlot))
}

// failure is every goal that was not met.
func (r *soakRecord) failure() error {
	var failures []error
	for _, row := range r.Rows {
		switch {
		case row.Failed != "":
			failures = append(failures, fmt.Errorf("%s: %s", row.Name, row.Failed))
		case row.Goal != (goal{}) && !row.Goal.met(row.Value, 1):
			failures = append(failures, fmt.Errorf("%s: %.3g is not %s", row.Name, row.Value, row.Goal))
		}
	}
	return errors.Join(failures...)
}
