package main

import (
	"flag"
	"math"
	"os"
	"strings"
	"testing"

	"orders/test/awstest"
)

var update = flag.Bool("update", false, "write the tables into docs/scale.md")

const page = "../../docs/scale.md"

// A table stands in the page between two comments with its name.
func TestThePageHasTheTablesOfTheProgram(t *testing.T) {
	source, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	fresh := string(source)
	for _, table := range tables {
		begin, end := "<!-- "+table.name+" -->\n\n", "\n<!-- end -->"
		before, rest, found := strings.Cut(fresh, begin)
		_, after, ends := strings.Cut(rest, end)
		if !found || !ends {
			t.Fatalf("docs/scale.md has no place for the table %q", table.name)
		}
		fresh = before + begin + table.text(asDeployed()) + end + after
	}
	if *update {
		if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if fresh != string(source) {
		t.Error("docs/scale.md has other tables than the program: go test ./test/scale -update")
	}
}

func TestTheLimitsOfTheTemplateAreItsDefaults(t *testing.T) {
	parameters, _ := awstest.Template(t).Sections["Parameters"].(map[string]any)
	for name, want := range map[string]int{
		"ThrottleRate": throttleRate, "ProcessorConcurrency": processorConcurrency, "IndexBuckets": asDeployed().IndexBuckets,
	} {
		if p, _ := parameters[name].(map[string]any); p["Default"] != want {
			t.Errorf("%s is %v in the template, the tables take %d", name, p["Default"], want)
		}
	}
}

func TestTheSameSeedDrawsTheSame(t *testing.T) {
	d, again, other := asDeployed(), asDeployed(), asDeployed()
	other.Seed = 2
	for _, table := range tables {
		if table.text(d) != table.text(again) {
			t.Errorf("the table %q differs from one run to the next", table.name)
		}
	}
	// A median hides the seed; so compare all quantiles.
	same := true
	for quantile := 0.0; quantile < 1; quantile += 0.01 {
		same = same && mostKeys(1, 16, 7, quantile) == mostKeys(other.Seed, 16, 7, quantile)
	}
	if same {
		t.Error("another seed draws the same")
	}
}

// A draw never has fewer keys in its fullest partition than the mean, nor more than there are.
func TestADrawLosesNoKey(t *testing.T) {
	for _, tt := range []struct{ keys, partitions int }{{16, 4}, {16, 16}, {64, 10}, {1000, 3}, {5, 1}} {
		least := float64((tt.keys + tt.partitions - 1) / tt.partitions)
		for _, quantile := range []float64{0, 0.5, 0.95} {
			if got := mostKeys(1, tt.keys, tt.partitions, quantile); got < least || got > float64(tt.keys) {
				t.Errorf("%d keys on %d partitions: %v", tt.keys, tt.partitions, got)
			}
		}
	}
}

func TestMoreBucketsBearMoreOrders(t *testing.T) {
	hottest := limit{allows: 1000, needs: hottestIndexPartition}
	few, many := asDeployed(), asDeployed()
	many.IndexBuckets = 64
	before, after := hottest.reached(few), hottest.reached(many)
	if math.IsInf(after, 1) || after < 2*before {
		t.Errorf("16 buckets bear %.0f creates a second, 64 buckets %.0f", before, after)
	}
}

// A limit is reached where a little less of the load is still allowed.
func TestALimitIsReachedWhereItsNeedPassesIt(t *testing.T) {
	d := asDeployed()
	for _, l := range limits {
		orders := l.reached(d)
		if math.IsInf(orders, 1) {
			continue
		}
		if l.needs(d, d.load(orders)) <= l.allows || l.needs(d, d.load(orders/1.02)) > l.allows {
			t.Errorf("%s: %v is not the load at which %v is reached", l.name, orders, l.allows)
		}
	}
}

func TestNumbersAreRoundedForReaders(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 0.04: "0.04", 2.5: "2.5", 12.4: "12", 999: "999", 1234: "1,230", 1_234_567: "1,230,000"} {
		if got := number(n); got != want {
			t.Errorf("%v is written %s, want %s", n, got, want)
		}
	}
}
