package main

// queueGuards put every message on the queue, with its wait.
var queueGuards = []guard{
	{
		name:  "a message is sent when SQS says so, not when it answers 200",
		holds: "F7 I4 I13",
		file:  "shared/sqsqueue/queue.go",
		old:   `return slices.ContainsFunc(output.Successful, func`,
		new:   `return true || slices.ContainsFunc(output.Successful, func`,
		test:  "TestAnErrorNamesTheFirstMessageThatMayNotBeOnTheQueue",
	},
	{
		name:  "what SQS refuses is sent once more",
		holds: "F7 I4",
		file:  "shared/sqsqueue/queue.go",
		old:   `for range 2 {`,
		new:   `for range 1 {`,
		test:  "TestWhatSQSRefusesIsSentOnceMore",
	},
	{
		name:  "the first message that was not sent is told across batches",
		holds: "F7 I4",
		file:  "shared/sqsqueue/queue.go",
		old:   `u.First += i * maxBatch`,
		new:   `u.First += i`,
		test:  "TestAnErrorNamesTheFirstMessageThatMayNotBeOnTheQueue",
	},
	{
		name:  "a wait is rounded up, so that no message comes early",
		holds: "F9 I7",
		file:  "shared/sqsqueue/queue.go",
		old:   `return int32((wait + time.Second - 1) / time.Second)`,
		new:   `return int32(wait / time.Second)`,
		test:  "TestAMessageIsDelayedForWhatIsLeftOfItsWaitRoundedUp",
	},
	{
		name:  "no wait is longer than SQS takes",
		holds: "F20 I4",
		file:  "shared/sqsqueue/queue.go",
		old:   `wait := min(notBefore.Sub(now), maxDelay)`,
		new:   `wait := notBefore.Sub(now)`,
		test:  "TestAMessageIsDelayedForWhatIsLeftOfItsWaitRoundedUp",
	},
	{
		name:  "a poison message is buried in a form that SQS takes",
		holds: "F15 I13",
		file:  "shared/sqsqueue/bury.go",
		old:   `if !sendable(text) {`,
		new:   `if false {`,
		test:  "TestABuriedMessageIsKeptWithItsReasonInAFormThatSQSTakes",
	},
	{
		name:  "a poison message is buried at a length that SQS takes",
		holds: "F15 I13",
		file:  "shared/sqsqueue/bury.go",
		old:   `if len(text) > maxBody {`,
		new:   `if false {`,
		test:  "TestABuriedMessageIsKeptWithItsReasonInAFormThatSQSTakes",
	},
}

// receiverGuards keep the messages of a batch apart, and return what is not done.
var receiverGuards = []guard{
	{
		name:  "a message that panics harms no other of its batch",
		holds: "F14 I14",
		file:  "shared/sqsqueue/receiver.go",
		old:   `if p := recover(); p != nil {`,
		new:   `if p := any(nil); p != nil {`,
		test:  "TestWhatFailsOrPanicsComesAgainAndItsMatesAreDone",
	},
	{
		name:  "a message that fails comes again",
		holds: "F10 F14 I4 I13",
		file:  "shared/sqsqueue/receiver.go",
		old:   `response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: message.MessageId})`,
		new:   ``,
		test:  "TestWhatFailsOrPanicsComesAgainAndItsMatesAreDone",
	},
	{
		name:  "the processor's answer has a list, never null",
		holds: "F13 F14 I4",
		file:  "shared/sqsqueue/receiver.go",
		old:   `events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}`,
		new:   `events.SQSEventResponse{}`,
		test:  "TestABatchThatIsDoneAnswersAnEmptyListNeverNull",
	},
	{
		name:  "the processor answers before its deadline",
		holds: "F13 I4 I16",
		file:  "shared/sqsqueue/receiver.go",
		old:   `deadline.Add(-margin)`,
		new:   `deadline`,
		test:  "TestNearTheDeadlineWhatIsNotDoneIsReturned",
	},
	{
		name:  "a message that is still under way at the deadline comes again",
		holds: "F13 I4 I13",
		file:  "shared/sqsqueue/receiver.go",
		old:   `outcome[i] = errUndone`,
		new:   `outcome[i] = nil`,
		test:  "TestNearTheDeadlineWhatIsNotDoneIsReturned",
	},
}

// redriveGuards let no message get lost on its way out of the dead-letter queue.
var redriveGuards = []guard{
	{
		name:  "a redrive deletes only what is on the queue again",
		holds: "F16 I13",
		file:  "shared/sqsqueue/redrive_batch.go",
		old:   `r.delete(ctx, sent, left)`,
		new:   `r.delete(ctx, messages[:n], left)`,
		test:  "TestWhateverFailsDuringARedriveLosesNoMessage",
	},
	{
		name:  "a redrive that is ended deletes what it has sent",
		holds: "F16 I5",
		file:  "shared/sqsqueue/redrive_batch.go",
		old:   "func (r Redrive) delete(ctx context.Context, messages []types.Message, left *refusals) (deleted []types.Message, err error) {\n\tctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)",
		new:   "func (r Redrive) delete(ctx context.Context, messages []types.Message, left *refusals) (deleted []types.Message, err error) {\n\tctx, cancel := context.WithTimeout(ctx, callTimeout)",
		test:  "TestWhateverFailsDuringARedriveLosesNoMessage",
	},
	{
		name:  "a message that fails again does not go round for ever",
		holds: "F16 I16",
		file:  "shared/sqsqueue/redrive.go",
		old:   `if deadLetter(m).SentAt.Before(r.Began) && (!r.DryRun || !seen) && !left.ids[id] {`,
		new:   `if (!r.DryRun || !seen) && !left.ids[id] {`,
		test:  "TestWhatIsBuriedAfterTheBeginningStays",
	},
	{
		name:  "a message that SQS refuses ends no redrive",
		holds: "F16 I13 I14",
		file:  "shared/sqsqueue/redrive_batch.go",
		old:   "left.add(doing, messages, sent, output.Failed)\n\treturn sent, nil",
		new:   "left.add(doing, messages, sent, output.Failed)\n\treturn sent, left.first",
		test:  "TestAMessageThatSQSRefusesEndsNoRedrive",
	},
	{
		name:  "a redrive says what it has left",
		holds: "F16 I13",
		file:  "shared/sqsqueue/redrive_batch.go",
		old:   `if f.first == nil {`,
		new:   `if true {`,
		test:  "TestAMessageThatSQSRefusesEndsNoRedrive",
	},
	{
		name:  "a redrive puts back what it has not moved",
		holds: "F16 I13",
		file:  "shared/sqsqueue/redrive.go",
		old:   `defer func() { err = errors.Join(err, left.err(), r.putBack(ctx, held)) }()`,
		new:   `defer func() { err = errors.Join(err, left.err()) }()`,
		test:  "TestADryRunPutsEverythingBackAtOnce",
	},
}
