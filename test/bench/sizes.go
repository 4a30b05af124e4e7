package main

import "time"

// sizes say how much is measured, and for how long.
type sizes struct {
	form string // "full" or "short"

	rounds           int           // in which the contenders take turns; their median counts
	warmUp, creating time.Duration // of each closed loop
	keyed            time.Duration // how long at most the first keys take
	keys             int64
	openLoop         time.Duration // at each rate
	climbing         time.Duration // at each rate
	firstRates       []int         // of the climb, creates a second
	rateStep         int           // after them, and how far it is from one to the next
	slowLoad         time.Duration // each time, without slow clients and with them
	backupRounds     int           // without backups and with them in turn
	backupLoad       time.Duration // each time, without backups and with them
	backupEvery      time.Duration
	lives            time.Duration
	livesProcessing  time.Duration
	committing       time.Duration // each of grouped and single commits
	largeFile        int64         // how many orders it has
	unfinished       int64         // when the server is killed
	reads            int           // of each kind
	starts           int           // of each kind; their median counts
}

// full is the form that the goals are meant for: about 35 minutes.
var full = sizes{
	form:   "full",
	rounds: 5, warmUp: time.Second, creating: 3 * time.Second,
	keyed: 10 * time.Second, keys: 300_000,
	openLoop: time.Minute,
	climbing: 10 * time.Second, firstRates: []int{1_000, 2_000}, rateStep: 5_000,
	slowLoad:     12 * time.Second,
	backupRounds: 1, backupLoad: 5 * time.Minute, backupEvery: 10 * time.Second,
	lives: time.Minute, livesProcessing: 5 * time.Second,
	committing: 5 * time.Second,
	largeFile:  1_000_000, unfinished: 700_000,
	reads: 2_000, starts: 5,
}

// short is for continuous integration: in about a minute it finds a service
// that has become far slower.
var short = sizes{
	form:   "short",
	rounds: 3, warmUp: 300 * time.Millisecond, creating: time.Second,
	keyed: 1500 * time.Millisecond, keys: 300_000,
	openLoop: 2 * time.Second,
	climbing: time.Second, firstRates: []int{1_000}, rateStep: 20_000,
	slowLoad:     2 * time.Second,
	backupRounds: 3, backupLoad: 2 * time.Second, backupEvery: time.Second,
	lives: 3 * time.Second, livesProcessing: time.Second,
	committing: time.Second,
	largeFile:  100_000, unfinished: 50_000,
	reads: 300, starts: 3,
}

// smallFile is how many orders the file has that the large one is compared to.
const smallFile = 1_000

// rateAt is the nth rate of a climb.
func (s sizes) rateAt(n int) int {
	if n < len(s.firstRates) {
		return s.firstRates[n]
	}
	return (n - len(s.firstRates) + 1) * s.rateStep
}
