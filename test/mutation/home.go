package main

import "strings"

// A home is a place in which the service lives.
type home string

const (
	embedded home = "embedded"
	onAWS    home = "AWS"
)

// homesOf are the homes that a file, named from the root of the module, is about: those
// of which it is a part, or which a test in it runs. Tests of what tests are made of say
// nothing of either.
func homesOf(file string) []home {
	for _, part := range []struct {
		folder string
		homes  []home
	}{
		{"shared/sqlite/", []home{embedded}},
		{"cmd/orders/", []home{embedded}},
		{"test/ledger/", []home{embedded}},
		{"test/crash/", []home{embedded}},
		{"test/bench/", nil},
		{"shared/order/", []home{embedded, onAWS}},
		{"test/conformance/", []home{embedded, onAWS}},
		{"test/chaos/", nil},
		{"tools/eventsource/", nil},
		{"shared/api/", []home{embedded, onAWS}},
	} {
		if strings.HasPrefix(file, part.folder) {
			return part.homes
		}
	}
	return []home{onAWS}
}
