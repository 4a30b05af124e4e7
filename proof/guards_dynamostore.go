package main

// storeGuards are the conditions of the writes to an order, and what is made of their
// refusal.
var storeGuards = []guard{
	{
		name:  "a create never overwrites",
		holds: "F2 F3 F4 I1 I3",
		file:  "shared/dynamostore/create.go",
		old:   `aws.String("attribute_not_exists(#pk)")`,
		new:   `aws.String("attribute_not_exists(#pk) OR attribute_exists(#pk)")`,
		test:  "TestACreateThatTheSDKRepeatsMakesOneOrder",
	},
	{
		name:  "a create that is refused learns of the order that is there",
		holds: "F2 F4 I3",
		file:  "shared/dynamostore/create.go",
		old:   `types.ReturnValuesOnConditionCheckFailureAllOld`,
		new:   `types.ReturnValuesOnConditionCheckFailureNone`,
		test:  "TestAReplayIsOneCall",
	},
	{
		name:  "a create that the SDK has repeated is no replay",
		holds: "F2",
		file:  "shared/dynamostore/create.go",
		old:   `return o, d.Key != "", nil`,
		new:   `return o, true, nil`,
		test:  "TestACreateThatTheSDKRepeatsMakesOneOrder",
	},
	{
		name:  "a key does not give out the item of another request",
		holds: "F3 I2 I3",
		file:  "shared/dynamostore/create.go",
		old:   `case o.Fingerprint == d.Fingerprint:`,
		new:   `case err == nil:`,
		test:  "TestAKeyThatNamesAnotherRequestIsRefused",
	},
	{
		name:  "an order that was read is the latest",
		holds: "F21 I6",
		file:  "shared/dynamostore/get.go",
		old:   `ConsistentRead: aws.Bool(true),`,
		new:   `ConsistentRead: aws.Bool(false),`,
		test:  "TestAReadIsOneCallAndStronglyConsistent",
	},
	{
		name:  "of many workers, one makes the transition",
		holds: "F8 F9 F10 F11 F12 F16 I5 I6",
		file:  "shared/dynamostore/advance.go",
		old:   `aws.String("#status = :from AND #"`,
		new:   `aws.String("(#status = :from OR #status <> :from) AND #"`,
		test:  "TestOneOfManyAtOnceAdvances",
	},
	{
		name:  "a transition waits for its time, to the millisecond",
		holds: "F9 F20 I7",
		file:  "shared/dynamostore/advance.go",
		old:   `" <= :due"`,
		new:   `" <= :due OR #status = :from"`,
		test:  "TestAFractionOfAMillisecondIsWaitedFor",
	},
	{
		name:  "a start by a clock that lies behind starts at the creation",
		holds: "F20 I4 I8",
		file:  "shared/dynamostore/advance.go",
		old:   `if now.Before(o.StartedAt) {`,
		new:   `if false {`,
		test:  "TestAStartBeforeTheCreationStartsAtTheCreation",
	},
	{
		name:  "a transition whose answer was lost is known to be done",
		holds: "F11 I4 I5",
		file:  "shared/dynamostore/advance.go",
		old:   `types.ReturnValuesOnConditionCheckFailureAllOld`,
		new:   `types.ReturnValuesOnConditionCheckFailureNone`,
		test:  "TestATransitionWhoseAnswerIsLostIsDone",
	},
	{
		name:  "a transition makes no order out of nothing",
		holds: "F15 I13",
		file:  "shared/dynamostore/advance.go",
		old:   `if len(refusal.Item) == 0 {`,
		new:   `if false {`,
		test:  "TestAnUnknownOrderIsNotFound",
	},
}

// listGuards keep the pages true to an index that lags.
var listGuards = []guard{
	{
		name:  "a page goes on behind the last id of the one before",
		holds: "F21 I12",
		file:  "shared/dynamostore/list.go",
		old:   `AND #created_key < :after"`,
		new:   `AND #created_key <= :after"`,
		test:  "TestAPageMayLagButNoneLies",
	},
	{
		name:  "a page waits for the bucket that may hold a newer order",
		holds: "F21 I12",
		file:  "shared/dynamostore/list.go",
		old:   `if l.dry() {`,
		new:   `if false {`,
		test:  "TestPagesJoinedAreAllIdsNewestFirst",
	},
	{
		name:  "a damaged entry of the index ends no list",
		holds: "I12 I14",
		file:  "shared/dynamostore/list.go",
		old:   `key, _ := textsOf(it)("created_key"); isPosition(key) {`,
		new:   `key, _ := textsOf(it)("created_key"); key != "" {`,
		test:  "TestADamagedEntryOfTheIndexEndsNoList",
	},
	{
		name:  "a position that no page of the table gave out is refused",
		holds: "I12 I15",
		file:  "shared/dynamostore/list.go",
		old:   `return err == nil && idErr == nil && timeText(t) == created`,
		new:   `return err == nil || idErr == nil || timeText(t) == created`,
		test:  "TestAPositionThatNoPageGaveOutIsRefused",
	},
}
