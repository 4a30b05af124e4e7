package chaos

import (
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

var (
	playFor = flag.Duration("chaos.for", 5*time.Second, "play random histories for that long")
	outTo   = flag.String("chaos.out", "", "write a summary as chaos-<home>.json to that `folder`")
)

// enough is how long it takes at most until every fault has come about.
const enough = 5 * time.Minute

// Play plays every history of testdata on the home of that name, each on one that open
// has opened, and then random ones for the time of the flag -chaos.for. It fails with
// the steps of the shortest failing history that it can find, as JSON, for testdata.
//
// The flags of rapid hold, too: -rapid.seed with the seed of a failure, and
// -rapid.checks=1, play its history again.
func Play(t *testing.T, name string, open func(T) Deployment) {
	t.Helper()
	replay(t, open)
	began := time.Now()
	s := &Summary{Home: name, Date: began.UTC().Format(time.DateOnly), Seed: firstSeed(), Faults: map[string]int{}}
	u := &hunt{open: open, over: after(*playFor), summary: s}
	advice := u.play(t, func() { s.Seconds = int(time.Since(began).Seconds()) })
	t.Log(s)
	if u.found != nil {
		t.Logf("%s\n%s\nIt is made shorter, which takes a while.", u.found.Why, u.found)
		u.shorten(t.Context())
		t.Fatalf("%s\n%s\n%s\nIt is in %s", u.found.Why, u.found, advice, keep(t, name, u.found))
	}
	if missed := s.missed(); *playFor >= enough && len(missed) > 0 {
		t.Errorf("these faults never came about: %q", missed)
	}
	if *outTo != "" {
		if err := s.write(*outTo); err != nil {
			t.Error(err)
		}
	}
}

// play plays rounds until a history fails or the time is over, and logs once a minute
// how far it is. The summary's seed leads to the seeds of all rounds.
func (u *hunt) play(t *testing.T, clock func()) (advice string) {
	defer clock()
	setFlag(t, "rapid.nofailfile", "true") // scripts take their place
	seeds := rand.New(rand.NewPCG(u.summary.Seed, 0))
	minute := after(time.Minute)
	for seed := u.summary.Seed; u.found == nil && !u.over(); seed = seeds.Uint64() {
		setFlag(t, "rapid.seed", strconv.FormatUint(seed, 10))
		advice = u.round(t)
		if minute() {
			clock()
			t.Logf("%d s: %d histories, %d steps", u.summary.Seconds, u.summary.Histories, u.summary.Steps)
			minute = after(time.Minute)
		}
	}
	return advice
}

// firstSeed is the flag -rapid.seed, or a random one.
func firstSeed() uint64 {
	if f := flag.Lookup("rapid.seed"); f != nil {
		if seed, err := strconv.ParseUint(f.Value.String(), 10, 64); err == nil && seed != 0 {
			return seed
		}
	}
	return rand.Uint64()
}

// setFlag sets a flag of rapid's, which has no other way to be told, for the time of the test.
func setFlag(t *testing.T, name, value string) {
	before := flag.Lookup(name).Value.String()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set(name, before); err != nil {
			t.Error(err)
		}
	})
}

// keep writes the script to a file that stays, and returns its name.
func keep(t *testing.T, home string, s *script) string {
	name := filepath.Join(os.TempDir(), "chaos-"+home+".json")
	if err := os.WriteFile(name, []byte(s.String()), 0o600); err != nil {
		t.Error(err)
	}
	return name
}
