package main

// networkMutants are those of the functions' own programs behind a network that fails. The
// tests build the programs without the guard, too.
var networkMutants = []mutant{
	{
		name:  "an attempt over a dead connection ends, so that the next goes over a new one",
		holds: "F24 I16",
		file:  "shared/awsclient/awsclient.go",
		old:   `WithTimeout(attemptTimeout).`,
		new:   ``,
		pkg:   "functions",
		test:  "TestAFunctionSurvivesThatTheNetworkForgetsItsConnections",
	},
	{
		name:  "a batch that may not be counted is reported, and comes again",
		holds: "F18 F24 I9",
		file:  "shared/dynamostore/tally.go",
		old:   `return awsclient.WrapError("tally changes of "+shard, err)`,
		new:   `_ = awsclient.WrapError; return nil`,
		pkg:   "functions",
		test:  "TestFunctionsFailInTimeUnderFaultsOfTheNetworkAndGoOnAfterwards",
	},
	{
		name:  "a record whose message may not be on the queue comes again",
		holds: "F7 F24 I4",
		file:  "shared/dynamostore/relay.go",
		old:   `done = from[firstUnsent(err)]`,
		new:   ``,
		pkg:   "functions",
		test:  "TestFunctionsFailInTimeUnderFaultsOfTheNetworkAndGoOnAfterwards",
	},
}
