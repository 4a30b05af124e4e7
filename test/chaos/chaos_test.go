package chaos

import (
	"encoding/json/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestAHomeThatIsRightPasses(t *testing.T) {
	setFlag(t, "chaos.for", "1s")
	Play(t, "memory", openMemory(""))
}

// TestEveryWrongIsFound breaks a home in one way after the other, and expects a
// history of a few steps that shows it.
func TestEveryWrongIsFound(t *testing.T) {
	setFlag(t, "rapid.shrinktime", "0s") // to see how far we get alone
	for _, broken := range []string{
		"loses an order", "lists an order on two pages", "lists the oldest first", "refuses a replay", // I1, I12, I3
		"takes a clash for a replay", "stores what it refuses", "says that a replay is new", // I2, I3
		"counts a completion twice", "never counts", "is unavailable without a reason", // I9, I11, I17
		"starts again what is completed", "starts before the creation", "waits for nothing", // I5, I6, I8, I7
		"forgets a message", "loses a message when a commit fails", "never lets go", // I4, I13
		"drops what it cannot read", "buries what it could do", "buries what says more than it knows", "panics", // I13, I14
	} {
		t.Run(broken, func(t *testing.T) {
			u := &hunt{open: openMemory(broken), over: after(time.Minute), summary: &Summary{Faults: map[string]int{}}}
			u.play(t, func() {})
			if u.found == nil {
				t.Fatalf("not found in %d histories", u.summary.Histories)
			}
			u.shorten(t.Context())
			t.Logf("%d steps: %s", len(u.found.Steps), u.found.Why)
			if len(u.found.Steps) > 6 {
				t.Errorf("the history was not shrunk: %s", u.found)
			}
		})
	}
}

func TestAScriptIsReadAsItIsWritten(t *testing.T) {
	want := script{Why: `a "reason"`, Steps: []Step{
		{Do: Create, Drafts: []Draft{{Key: "a", As: "Pending"}, {As: "Completed", Variant: 2}}, Fault: unfinished},
		{Do: Deliver, Messages: []Message{{Order: 3, To: "Processing", Cut: true}, {Body: "null"}, {Order: 1, To: "Completed", More: true}}},
		{Do: work, Worker: "worker"},
		{Do: tick, By: Duration(-90 * time.Second)},
	}}
	var got script
	if err := json.Unmarshal([]byte(want.String()), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nis read as %+v, error %v", want, got, err)
	}
}

func TestAFaultThatNeverCameAboutIsNamed(t *testing.T) {
	h := begin(t.Context(), openMemory(""))
	h.play(Step{Do: Create, Drafts: []Draft{{As: "Pending"}}, Fault: unfinished})
	h.close()
	s := &Summary{Faults: map[string]int{}}
	s.add(h)
	if got, want := s.missed(), []string{"worker: " + failing}; !slices.Equal(got, want) {
		t.Errorf("missed %q, not %q", got, want)
	}
}
