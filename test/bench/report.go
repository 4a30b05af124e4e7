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
)

// A report is what has been measured, in the order of the groups. It is kept as
// JSON, so that a group can be measured again by itself.
type report struct {
	Sections []section `json:"sections"`
}

// A section is what one group measured at one time.
type section struct {
	Group      string     `json:"group"`
	Conditions conditions `json:"conditions"`
	// How says how it was measured.
	How  string `json:"how"`
	Rows []row  `json:"rows"`
}

// over returns r and, of an older report, the groups that are not in r.
func (r report) over(old report) report {
	all := slices.Clone(r.Sections)
	for _, s := range old.Sections {
		if !slices.ContainsFunc(r.Sections, func(own section) bool { return own.Group == s.Group }) {
			all = append(all, s)
		}
	}
	rank := func(s section) int { return slices.Index(groupNames(), s.Group) }
	slices.SortStableFunc(all, func(a, b section) int { return rank(a) - rank(b) })
	return report{all}
}

// save writes results.json and results.md, with what an earlier report there
// says of the groups that were not measured.
func (r report) save(dir string) error {
	path := filepath.Join(dir, "results.json")
	old, err := readReport(path)
	if err != nil {
		return err
	}
	all := r.over(old)
	data, err := json.Marshal(all, jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "results.md"), []byte(all.markdown()), 0o644)
}

// readReport returns an empty report when there is no such file.
func readReport(path string) (r report, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// failure is why the program is to exit with 1, nil when it is not.
func (r report) failure(short bool) error {
	var failures []error
	for _, s := range r.Sections {
		for _, row := range s.Rows {
			switch {
			case row.Failed != "":
				failures = append(failures, fmt.Errorf("%s: %s", s.Group, row.Failed))
			case short && row.broken():
				failures = append(failures, fmt.Errorf("%s: %s: %.2f is far off the goal %s", s.Group, row.Name, row.Value, row.Goal))
			}
		}
	}
	return errors.Join(failures...)
}
