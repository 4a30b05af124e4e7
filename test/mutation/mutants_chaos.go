package main

// chaosMutants are taken out to show what random histories find, and how soon: a condition
// that is dropped, a counter that is bare, an acknowledgement that is lost, on each home.
var chaosMutants = []mutant{
	{
		name:  "a range completes only orders that are Processing (random histories)",
		holds: "F8 F10 I5",
		file:  "shared/sqlite/tx.go",
		old:   `AND ?3 AND status = 1 AND started_at = ?4`,
		new:   `AND ?3 AND ?4 > 0`,
		test:  "TestChaos",
		chaos: true,
	},
	{
		name:  "the metrics show only what is committed (random histories)",
		holds: "F1 F23 I9 I17",
		file:  "shared/sqlite/tx.go",
		old:   `t.tally.Add(c.Tally())`,
		new:   `t.tally.Add(c.Tally()); bare := t.tally; t.w.store.tally.Store(&bare)`,
		test:  "TestChaos",
		chaos: true,
	},
	{
		name:  "transitions whose commit failed come again (random histories)",
		holds: "F11 F23 I4 I13",
		file:  "shared/sqlite/writer.go",
		old:   "for _, r := range ranges {\n\t\tw.queue.retry(r, t.began)\n\t}\n\terr =",
		new:   "_ = ranges\n\terr =",
		test:  "TestChaos",
		chaos: true,
	},
	{
		name:  "of many workers, one makes the transition (random histories)",
		holds: "F8 F9 F10 F11 F12 I5",
		file:  "shared/dynamostore/advance.go",
		old:   `"#status = :from AND #" + since`,
		new:   `"(#status = :from OR #status <> :from) AND #" + since`,
		pkg:   "test/awstest",
		test:  "TestChaos",
		chaos: true,
	},
	{
		name:  "a batch is counted only from below its first record (random histories)",
		holds: "F17 F18 I9 I17",
		file:  "shared/dynamostore/tally.go",
		old:   `OR #sequence < :first"`,
		new:   `OR #sequence < :first OR #sequence >= :first"`,
		pkg:   "test/awstest",
		test:  "TestChaos",
		chaos: true,
	},
	{
		name:  "a message is sent when SQS says so (random histories)",
		holds: "F5 F7 I4 I13",
		file:  "shared/sqsqueue/queue.go",
		old:   `slices.ContainsFunc(output.Successful,`,
		new:   `true || slices.ContainsFunc(output.Successful,`,
		pkg:   "test/awstest",
		test:  "TestChaos",
		chaos: true,
	},
}
