package main

import (
	"testing"
	"time"
)

func TestAGuardThatNoTestMissesAnyLongerHasNoOutcome(t *testing.T) {
	folder := t.TempDir()
	missed, untried, survivor, gone := guard{name: "missed"}, guard{name: "untried"}, guard{name: "survivor"}, guard{name: "gone"}
	keep := func(list, tried []guard, killers map[string]string) outcomes {
		t.Helper()
		var found []outcome
		for name, killer := range killers {
			found = append(found, outcome{Guard: name, KilledBy: killer})
		}
		if err := keepOutcomes(folder, list, tried, found, time.Now()); err != nil {
			t.Fatal(err)
		}
		kept, err := result[outcomes](folder, "mutations.json")
		if err != nil {
			t.Fatal(err)
		}
		return *kept
	}
	all := []guard{missed, untried, survivor, gone}
	if first := keep(all, all, map[string]string{"missed": "TestA", "untried": "TestB", "survivor": "TestC", "gone": "TestD"}); len(first.Guards) != len(all) {
		t.Fatalf("%d outcomes are kept of %d", len(first.Guards), len(all))
	}
	kept := keep(all[:3], []guard{missed, survivor}, map[string]string{"missed": "TestE"})
	for g, want := range map[guard]string{missed: "TestE", untried: "TestB", survivor: "", gone: ""} {
		if found, _ := kept.of(g); found.KilledBy != want {
			t.Errorf("%s is killed by %q, want %q", g.name, found.KilledBy, want)
		}
	}
}
