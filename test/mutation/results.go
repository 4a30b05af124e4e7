package main

import (
	"encoding/json/jsontext"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// resultsFolder holds what was measured, a file for each kind of proof.
const resultsFolder = "proof/results"

// An outcome says which test missed a guard that was taken out.
type outcome struct {
	Guard    string  `json:"guard"`
	KilledBy string  `json:"killed_by"`
	Seconds  float64 `json:"seconds"`
}

// outcomes is the file mutations.json.
type outcomes struct {
	Date   string    `json:"date"`
	Guards []outcome `json:"guards"`
}

// of returns the outcome for a guard; ok is false when there is none.
func (o outcomes) of(g guard) (found outcome, ok bool) {
	i := slices.IndexFunc(o.Guards, func(one outcome) bool { return one.Guard == g.name })
	if i < 0 {
		return outcome{}, false
	}
	return o.Guards[i], true
}

// keepOutcomes puts what was found in the place of what was known of the guards that were
// tried: one that no test has missed this time has no outcome any more. It leaves out
// guards that are no longer in the list.
func keepOutcomes(folder string, list, tried []guard, found []outcome, at time.Time) error {
	known, err := result[outcomes](folder, "mutations.json")
	if err != nil {
		return err
	}
	fresh := outcomes{Guards: found}
	kept := outcomes{Date: at.Format(time.DateOnly)}
	for _, g := range list {
		one, ok := fresh.of(g)
		if known != nil && !slices.ContainsFunc(tried, func(t guard) bool { return t.name == g.name }) {
			one, ok = known.of(g)
		}
		if ok {
			kept.Guards = append(kept.Guards, one)
		}
	}
	text, err := json.Marshal(kept, jsontext.WithIndent("\t"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "mutations.json"), append(text, '\n'), 0o644)
}

// result reads a file of results; nil when it was not measured yet.
func result[T any](folder, name string) (*T, error) {
	text, err := os.ReadFile(filepath.Join(folder, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found T
	if err := json.Unmarshal(text, &found); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &found, nil
}
