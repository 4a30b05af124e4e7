package functions_test

import "testing"

// slow are faults that a function answers through: each attempt ends in its time.
var slow = []networkFault{
	{name: "latency", begin: func(n *network) { n.poison("latency", "downstream", `{"latency": 500}`) }},
	{name: "jitter", begin: func(n *network) { n.poison("latency", "upstream", `{"latency": 300, "jitter": 300}`) }},
	{name: "two kilobytes a second", begin: func(n *network) { n.poison("bandwidth", "upstream", `{"rate": 2}`) }},
	{name: "answers in slices", begin: func(n *network) { n.poison("slicer", "downstream", `{"average_size": 64, "delay": 1000}`) }},
	{name: "connections that break while nobody calls", begin: (*network).mend},
}

// broken are faults that fail every attempt: before the request arrives, or after it
// has arrived and been done.
var broken = []networkFault{
	{name: "refused", begin: func(n *network) { n.proxy.Stop() }},
	{name: "requests swallowed", begin: func(n *network) { n.poison("timeout", "upstream", `{"timeout": 0}`) }},
	{name: "requests swallowed since before the start", cold: true, begin: func(n *network) { n.poison("timeout", "upstream", `{"timeout": 0}`) }},
	{name: "requests reset", begin: func(n *network) { n.poison("reset_peer", "upstream", `{"timeout": 0}`) }},
	{name: "requests cut", begin: func(n *network) { n.poison("limit_data", "upstream", `{"bytes": 300}`) }},
	{name: "answers swallowed", arrives: true, begin: func(n *network) { n.poison("timeout", "downstream", `{"timeout": 0}`) }},
	{name: "answers later than an attempt waits", arrives: true, begin: func(n *network) { n.poison("latency", "downstream", `{"latency": 4000}`) }},
	{name: "answers that stop half-way", arrives: true, begin: func(n *network) {
		n.poison("slicer", "downstream", `{"average_size": 64, "delay": 3600000000}`)
	}},
	{name: "answers reset", arrives: true, begin: func(n *network) { n.poison("reset_peer", "downstream", `{"timeout": 0}`) }},
	{name: "answers cut", arrives: true, begin: func(n *network) { n.poison("limit_data", "downstream", `{"bytes": 100}`) }},
}

type networkFault struct {
	name    string
	cold    bool // whether it is there when the functions start
	arrives bool // whether what is asked is done, though no answer says so
	begin   func(*network)
}

// F24, I1, I3, I5, I9, I15, I16: under each fault each function answers before
// Lambda's deadline, and says that it has failed. Whether what it asked was done or not,
// it succeeds at its next invocation once the network is well, in the same process,
// and the effect is there once.
func TestFunctionsFailInTimeUnderFaultsOfTheNetworkAndGoOnAfterwards(t *testing.T) {
	t.Parallel()
	trials := openTrials(t, broken)
	sideBySide(trials, (*trial).checkFailures)
	sideBySide(trials, (*trial).checkArrivals)
	sideBySide(trials, func(r *trial) { r.network.mend() })
	sideBySide(trials, (*trial).checkSuccesses)
	sideBySide(trials, (*trial).checkEffects)
}

// F24, I16: a network that is slow fails nobody, and neither does one that has closed
// the connections that functions keep.
func TestFunctionsSucceedOverASlowNetwork(t *testing.T) {
	t.Parallel()
	trials := openTrials(t, slow)
	sideBySide(trials, (*trial).checkSuccesses)
	sideBySide(trials, (*trial).checkEffects)
}
