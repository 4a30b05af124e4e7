package awstest_test

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"time"

	"orders/test/awstest"
	"orders/test/chaos"
)

// A disturbance is what goes wrong with the calls that a function makes, or with its
// clock.
type disturbance struct {
	// attempts are what those of a call meet: of the first call, the third and so on, so
	// that some of those that are made side by side succeed.
	attempts []awstest.Fault
	// fails is set when the function need not succeed.
	fails bool
	// skew is by how much its clock is ahead.
	skew time.Duration
	// hangs is set when calls are not answered before the function's time is over.
	hangs bool
}

var disturbances = map[string]disturbance{
	"never arrives":               {attempts: times(1, awstest.NeverArrives)},
	"never arrives, any attempt":  {attempts: times(3, awstest.NeverArrives), fails: true},
	"answer lost":                 {attempts: times(1, awstest.AnswerLost)},
	"answer lost, every attempt":  {attempts: times(3, awstest.AnswerLost), fails: true},
	"made twice":                  {attempts: times(1, awstest.Twice)},
	"throttled":                   {attempts: times(2, awstest.Throttled)},
	"throttled, every attempt":    {attempts: times(3, awstest.Throttled), fails: true},
	"service down":                {attempts: times(3, awstest.ServiceDown(http.StatusInternalServerError)), fails: true},
	"credentials expired":         {attempts: times(1, awstest.ExpiredCredentials), fails: true},
	"killed before a call":        {attempts: times(1, awstest.KilledBefore), fails: true},
	"killed after a call":         {attempts: times(1, awstest.KilledAfter), fails: true},
	"out of time":                 {attempts: times(3, awstest.Slow(time.Hour)), fails: true, hangs: true},
	"another transaction":         {attempts: times(1, awstest.Conflict)},
	"partly failed":               {attempts: times(1, awstest.PartlyFailed(false, 0, 2))},
	"partly failed, as its fault": {attempts: times(1, awstest.PartlyFailed(true, 1))},
	"clock 10 minutes ahead":      {skew: 10 * time.Minute},
	"clock 10 minutes behind":     {skew: -10 * time.Minute},
}

func times(n int, fault awstest.Fault) []awstest.Fault {
	return slices.Repeat([]awstest.Fault{fault}, n)
}

// ofCalls are the disturbances that any call may meet, ofClocks those of a function's clock.
var (
	ofCalls = []string{
		"never arrives", "never arrives, any attempt", "answer lost", "answer lost, every attempt", "made twice",
		"throttled, every attempt", "credentials expired",
		"killed before a call", "killed after a call", "out of time",
	}
	ofClocks = []string{"clock 10 minutes ahead", "clock 10 minutes behind"}
)

// limit is how long a function may run. One whose calls hang stops a second earlier, to
// answer; the tally has nothing to answer then.
func (d disturbance) limit(function string) time.Duration {
	const moment = 20 * time.Millisecond
	switch {
	case !d.hangs:
		return time.Minute
	case function == awstest.TallyFunction:
		return moment
	default:
		return time.Second + moment
	}
}

// explicit is a list of failures as an answer must have one: null would mean that all
// went well, and crashes other readers.
var explicit = regexp.MustCompile(`"batchItemFailures":\[`)

// Faults implements chaos.Home.
func (h *chaosHome) Faults(doing string) []string {
	switch doing {
	case chaos.Create:
		return append([]string{"throttled", "service down"}, ofCalls...)
	case chaos.Deliver:
		return slices.Concat(ofDelivery, ofClocks, []string{"delivered twice side by side"})
	case "processor":
		return slices.Concat(ofCalls, ofClocks, names(brought), []string{early})
	case "relay":
		return slices.Concat(ofCalls, ofClocks, names(read), []string{"partly failed", "partly failed, as its fault"})
	case "tally":
		return slices.Concat(ofCalls, names(read), []string{"another transaction"})
	default:
		return ofRedrive
	}
}

func names[V any](table map[string]V) []string { return slices.Sorted(maps.Keys(table)) }
