package chaos

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Summary says what a home has gone through.
type Summary struct {
	Home      string `json:"home"`
	Date      string `json:"date"` // as 2026-11-22
	Seconds   int    `json:"seconds"`
	Seed      uint64 `json:"seed"`
	Histories int    `json:"histories"`
	Steps     int    `json:"steps"`
	// Checks counts orders read again, lists, metrics, queues and answers that were
	// held against the model.
	Checks int            `json:"checks"`
	Faults map[string]int `json:"faults"` // those that came about, by "create: answer lost"
}

func (s *Summary) add(h *history) {
	s.Histories++
	s.Steps += len(h.steps)
	s.Checks += h.count
	if h.home == nil {
		return
	}
	for _, doing := range append([]string{Create, Deliver}, h.home.Workers()...) {
		for _, fault := range h.home.Faults(doing) {
			s.Faults[doing+": "+fault] += 0
		}
	}
	for fault, n := range h.home.Met() {
		s.Faults[fault] += n
	}
}

// missed are the faults that the home knows and that never came about: they prove
// nothing.
func (s *Summary) missed() (faults []string) {
	for _, fault := range slices.Sorted(maps.Keys(s.Faults)) {
		if s.Faults[fault] == 0 {
			faults = append(faults, fault)
		}
	}
	return faults
}

// String is the summary for a person to read.
func (s *Summary) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %d s: %d histories, %d steps, %d checks, seed %d", s.Home, s.Seconds, s.Histories, s.Steps, s.Checks, s.Seed)
	for _, fault := range slices.Sorted(maps.Keys(s.Faults)) {
		fmt.Fprintf(&b, "\n%8d  %s", s.Faults[fault], fault)
	}
	return b.String()
}

// write puts the summary into the folder as chaos-<home>.json.
func (s *Summary) write(folder string) error {
	b, err := json.Marshal(s, jsontext.WithIndent("  "), json.Deterministic(true))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "chaos-"+s.Home+".json"), append(b, '\n'), 0o644)
}
