package chaos

import (
	"encoding/json/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestADeploymentWithoutBugsPasses(t *testing.T) {
	s := &search{open: openMemory(""), over: after(time.Second), summary: &summary{Faults: map[string]int{}}}
	if s.play(t); s.found != nil {
		t.Errorf("%s\n%s", s.found.Why, s.found)
	}
	replay(t, openMemory(""))
}

// Each bug must be found, by a history of a few steps.
func TestEveryBugIsFound(t *testing.T) {
	for _, bug := range []string{
		"loses an order", "changes an order", "lists an order on two pages", "lists the oldest first", // I1, I12
		"refuses a replay", "makes an order without a request", "dates an order into the past", // I3, I2, I8
		"takes a clash for a replay", "stores what it refuses", "says that a replay is new", // I2, I3
		"counts a completion twice", "counts no processing time", "counts too early", "never counts", // I9, I10, I11, I17
		"is unavailable without a reason",                                           // I1
		"restarts a completed order", "starts before the creation", "does not wait", // I5, I6, I8, I7
		"moves a start", "imports with a later start", "completes too early", // I5, I8, I7
		"forgets a message", "loses a message when a commit fails", "retries after a minute", "keeps its messages", // I4, I13, I16
		"completes a cancelled order by an old message", "goes back to an earlier version", // I5, I6
		"forgets a retry at a restart", "makes an attempt too many", "keeps the attempts of before a retry", // I4, I13
		"is completed by a timer, not by a worker", "takes any version", "fails an order twice", // I5
		"refuses and does it all the same", "refuses a call that was made before", // I5
		"tells the version that was asked for", "says done and does nothing", "forgets who has called", // I5
		"drops an unreadable message", "loses dead letters", "dead-letters a good message", "dead-letters unknown members", "panics", // I13, I14
	} {
		t.Run(bug, func(t *testing.T) {
			u := &search{open: openMemory(bug), over: after(time.Minute), summary: &summary{Faults: map[string]int{}}}
			u.play(t)
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
	want := script{Why: `a "reason"`, External: true, Steps: []Step{
		{Do: Create, Drafts: []Draft{{Key: "a", As: "Pending"}, {As: "Completed", Variant: 2}}, Fault: unfinished},
		{Do: Deliver, Messages: []Message{{Order: 3, To: "Processing", Cut: true}, {Body: "null"}, {Order: 1, To: "Completed", Age: 1, More: true}}},
		{Do: Calling, Calls: []Call{{Order: 1, Do: "cancel"}, {Do: "retry", Version: "last"}}, Race: true},
		{Do: work, Worker: "worker"},
		{Do: tick, By: Duration(-90 * time.Second)},
	}}
	var got script
	if err := json.Unmarshal([]byte(want.String()), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\nis read as %+v, error %v", want, got, err)
	}
}

func TestAFaultThatNeverOccurredIsNamed(t *testing.T) {
	h := begin(t.Context(), openMemory(""), false)
	h.play(Step{Do: Create, Drafts: []Draft{{As: "Pending"}}, Fault: unfinished})
	h.close()
	s := &summary{Faults: map[string]int{}}
	s.add(h)
	if got, want := s.missed(), []string{Calling + ": " + unfinished, "worker: " + failing, "worker: " + restart}; !slices.Equal(got, want) {
		t.Errorf("missed %q, not %q", got, want)
	}
}
