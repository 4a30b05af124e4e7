package main

// A fault is one of those that the service is to survive.
type fault struct {
	id   string
	what string
	on   map[home]string // how it is brought about there
	not  map[home]string // why there is no such fault there
}

// faults are all, in the order of their numbers.
var faults = []fault{
	{"F1", "no create gets through: the store is throttled or down", map[home]string{
		embedded: "a full disk, by a limit on the file's pages and by a file system without room",
		onAWS:    "every attempt of PutItem is throttled or never arrives",
	}, nil},
	{"F2", "a create is stored, and its answer is lost", map[home]string{
		embedded: "the process dies behind the commit; the file fails during the commit",
		onAWS:    "the answer to PutItem is dropped inside the SDK's retry loop, which repeats the call",
	}, nil},
	{"F3", "a create never arrives, and the client tries again with its key", map[home]string{
		embedded: "the same key and request again, one after the other and fifty side by side",
		onAWS:    "attempts of PutItem fail before they are made; the same key again",
	}, nil},
	{"F4", "a crash between the write and the answer to the client", map[home]string{
		embedded: "SIGKILL at any moment; a transaction that is committed and told to nobody",
		onAWS:    "the function is ended behind its PutItem, and the client asks again",
	}, nil},
	{"F5", "the relay is down for an hour, or dies in the middle of a batch", map[home]string{
		onAWS: "batches of the stream are held back; the handler is ended between two calls",
	}, map[home]string{embedded: "nothing lies between an order and its message: they are one row"}},
	{"F6", "messages are sent, and the answer is lost: they are sent twice", map[home]string{
		onAWS: "the answer to SendMessageBatch is dropped",
	}, map[home]string{embedded: "no message is sent: an unfinished order is its own"}},
	{"F7", "SQS takes only a part of a batch", map[home]string{
		onAWS: "SendMessageBatch answers 200 with entries in Failed",
	}, map[home]string{embedded: "there is no batch of messages"}},
	{"F8", "a message is delivered twice, one after the other and side by side", map[home]string{
		embedded: "the worker gets ranges of orders again, before and behind its own work",
		onAWS:    "events come again; two handlers get the same messages at once",
	}, nil},
	{"F9", "messages come out of order, or too early", map[home]string{
		embedded: "the worker gets ranges of orders in any order, and before their time",
		onAWS:    "the completion comes before the start, and before its time",
	}, nil},
	{"F10", "a worker dies behind a transition, before the message is gone", map[home]string{
		embedded: "the process ends between a commit and what follows from it, and the file is opened again",
		onAWS:    "the handler is ended behind UpdateItem, and the message comes again",
	}, nil},
	{"F11", "a transition is made, and its answer is lost", map[home]string{
		embedded: "a commit fails; the file fails during a commit",
		onAWS:    "the answer to UpdateItem is dropped",
	}, nil},
	{"F12", "a message shows again while it is worked on", map[home]string{
		onAWS: "a visibility timeout that is shorter than the work",
	}, map[home]string{embedded: "there is one worker, and nothing is hidden from it for a time"}},
	{"F13", "a function runs into its deadline in the middle of a batch", map[home]string{
		onAWS: "work that does not end before the invocation's deadline",
	}, map[home]string{embedded: "there is no function: work has no deadline"}},
	{"F14", "a message panics among others", map[home]string{
		onAWS: "a handler that panics on one message of a batch",
	}, map[home]string{embedded: "a panic in the writer ends the process, which is F22"}},
	{"F15", "poison: messages and records that can never be worked off", map[home]string{
		embedded: "rows that cannot be read, or that somebody has changed or deleted; no foreign messages are taken",
		onAWS:    "junk, cut and foreign bodies and stream records among good ones",
	}, nil},
	{"F16", "dead letters are sent back to the queue, twice", map[home]string{
		onAWS: "redrives one after the other, cut off between send and delete, of messages that were done",
	}, map[home]string{embedded: "the table dead_letters is for reading: nothing is sent back from it"}},
	{"F17", "batches of the stream come again: whole, in part, overlapping, with the tally's own records", map[home]string{
		onAWS: "the tally is given any part of the stream again, at random and side by side",
	}, map[home]string{embedded: "there is no stream: the tally is in the transaction of what it counts"}},
	{"F18", "the tally's transaction conflicts, loses its answer, or is made again when its token has expired", map[home]string{
		onAWS: "TransactWriteItems is cancelled, its answer dropped, and the batch given again with a new token",
	}, map[home]string{embedded: "there is no second transaction"}},
	{"F19", "two hundred writers at one item of the tally", map[home]string{
		onAWS: "two hundred shards side by side whose tally is the same item",
	}, map[home]string{embedded: "there is one writer"}},
	{"F20", "clocks that disagree by ten minutes, or step back", map[home]string{
		embedded: "the clock is set back and forth, also between two lives of the process",
		onAWS:    "each worker has a clock of its own",
	}, nil},
	{"F21", "reads from an index that lags", map[home]string{
		onAWS: "a client that drops the newest entries from answers of the index, at random",
	}, map[home]string{embedded: "the list is read from the table itself"}},
	{"F22", "SIGKILL at any moment, a thousand times", map[home]string{
		embedded: "`make crash` kills the process under load; histories end before and behind any commit",
	}, map[home]string{onAWS: "a function that dies is F5, F10 and F13"}},
	{"F23", "a disk that is full, a file that is read-only, locked or corrupted", map[home]string{
		embedded: "limits, permissions, locks and noise on a real file, and a file system of a few megabytes",
	}, map[home]string{onAWS: "there is no disk"}},
	{"F24", "a network that is slow, reset, half-open or black", map[home]string{
		onAWS: "servers that stall and a proxy between the functions' binaries and the engines",
	}, map[home]string{embedded: "nothing is asked over a network"}},
	{"F25", "SIGTERM under load", map[home]string{
		embedded: "a signal to the process while clients create orders, and while a body is on its way",
	}, map[home]string{onAWS: "Lambda sends no request to an environment that it ends"}},
	{"F26", "a thousand clients that never read or never send", map[home]string{
		embedded: "a thousand connections at a time that stall in every way",
	}, map[home]string{onAWS: "API Gateway stands in front: a function sees whole requests"}},
}
