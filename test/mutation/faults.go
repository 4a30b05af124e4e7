package main

// A fault is one that the service must survive.
type fault struct {
	id   string
	what string
	on   map[home]string // how tests inject it there
	not  map[home]string // why it cannot occur there
}

// faults are all of them, by their numbers.
var faults = []fault{
	{"F1", "no create succeeds: the store is throttled or down", map[home]string{
		embedded: "a full disk, by a limit on the file's pages and by a file system without room",
		onAWS:    "every attempt of PutItem is throttled or never arrives",
	}, nil},
	{"F2", "a create is stored, and its response is lost", map[home]string{
		embedded: "the process dies after the commit; the file fails during the commit",
		onAWS:    "the response to PutItem is dropped inside the SDK's retry loop, which repeats the call",
	}, nil},
	{"F3", "a create never arrives, and the client retries with its key", map[home]string{
		embedded: "the same key and request again, in sequence and fifty concurrently",
		onAWS:    "attempts of PutItem fail before they are sent; the same key again",
	}, nil},
	{"F4", "a crash between the write and the response to the client", map[home]string{
		embedded: "SIGKILL at any moment; a transaction that is committed without a response",
		onAWS:    "the function is killed after its PutItem, and the client retries",
	}, nil},
	{"F5", "the relay is down for an hour, or dies in the middle of a batch", map[home]string{
		onAWS: "batches of the stream are held back; the function is killed after a call",
	}, map[home]string{embedded: "an order and its message are one row"}},
	{"F6", "messages are sent, and the response is lost: they are sent twice", map[home]string{
		onAWS: "the response to SendMessageBatch is dropped",
	}, map[home]string{embedded: "no message is sent: an unfinished order is its own message"}},
	{"F7", "SQS accepts only a part of a batch", map[home]string{
		onAWS: "SendMessageBatch returns 200 with entries in Failed",
	}, map[home]string{embedded: "there is no batch of messages"}},
	{"F8", "a message is delivered twice, in sequence and concurrently", map[home]string{
		embedded: "the worker gets ranges of orders again, before and after its own work",
		onAWS:    "events come again; two functions get the same messages at once",
	}, nil},
	{"F9", "messages come out of order, or too early", map[home]string{
		embedded: "the worker gets ranges of orders in any order, and before their time",
		onAWS:    "the completion comes before the start, and before its time",
	}, nil},
	{"F10", "a worker dies after a transition, before the message is deleted", map[home]string{
		embedded: "the process ends between a commit and its follow-ups, and the file is opened again",
		onAWS:    "the function is killed after UpdateItem, and the message comes again",
	}, nil},
	{"F11", "a transition is made, and its response is lost", map[home]string{
		embedded: "a commit fails; the file fails during a commit",
		onAWS:    "the response to UpdateItem is dropped",
	}, nil},
	{"F12", "a message becomes visible again while a worker handles it", map[home]string{
		onAWS: "a visibility timeout that is shorter than the work",
	}, map[home]string{embedded: "there is one worker, and no visibility timeout"}},
	{"F13", "a function exceeds its deadline in the middle of a batch", map[home]string{
		onAWS: "work that does not end before the invocation's deadline",
	}, map[home]string{embedded: "there is no function: work has no deadline"}},
	{"F14", "the handling of one message of a batch panics", map[home]string{
		onAWS: "a handler that panics on one message of a batch",
	}, map[home]string{embedded: "a panic in the writer ends the process, which is F22"}},
	{"F15", "poison: messages and records that can never succeed", map[home]string{
		embedded: "rows that cannot be read, or were changed or deleted by hand; no foreign messages are taken",
		onAWS:    "junk, cut and foreign bodies and stream records among good ones",
	}, nil},
	{"F16", "dead letters are redriven, twice", map[home]string{
		onAWS: "redrives in sequence, interrupted between send and delete, of messages that have succeeded",
	}, map[home]string{embedded: "nothing is redriven from the table dead_letters"}},
	{"F17", "batches of the stream come again: whole, in part, overlapping, with the tally's own records", map[home]string{
		onAWS: "the tally gets any part of the stream again, at random and concurrently",
	}, map[home]string{embedded: "there is no stream: the tally is part of the transaction that it counts"}},
	{"F18", "the tally's transaction conflicts, loses its response, or is repeated after its token has expired", map[home]string{
		onAWS: "TransactWriteItems is canceled, its response dropped, and the batch comes again with a new token",
	}, map[home]string{embedded: "there is no second transaction"}},
	{"F19", "two hundred writers at one item of the tally", map[home]string{
		onAWS: "two hundred concurrent shards with the same item",
	}, map[home]string{embedded: "there is one writer"}},
	{"F20", "clocks that disagree by ten minutes, or step back", map[home]string{
		embedded: "the clock is set back and forth, also between two runs of the process",
		onAWS:    "each worker has a clock of its own",
	}, nil},
	{"F21", "reads from an index that lags", map[home]string{
		onAWS: "a client that drops the newest entries from responses of the index, at random",
	}, map[home]string{embedded: "the list is read from the table itself"}},
	{"F22", "SIGKILL at any moment, a thousand times", map[home]string{
		embedded: "`make crash` kills the process under load; histories crash before and after any commit",
	}, map[home]string{onAWS: "a function that dies is F5, F10 and F13"}},
	{"F23", "a disk that is full, a file that is read-only, locked or corrupted", map[home]string{
		embedded: "limits, permissions, locks and noise on a real file, and a file system of a few megabytes",
	}, map[home]string{onAWS: "there is no disk"}},
	{"F24", "a network that is slow, resets connections, is half-open or drops everything", map[home]string{
		onAWS: "servers that stall and a proxy between the functions' binaries and the engines",
	}, map[home]string{embedded: "there are no calls over a network"}},
	{"F25", "SIGTERM under load", map[home]string{
		embedded: "a signal to the process while clients create orders, and while it receives a body",
	}, map[home]string{onAWS: "Lambda sends no request to an environment that it stops"}},
	{"F26", "a thousand clients that never read or never send", map[home]string{
		embedded: "a thousand concurrent connections that stall in every way",
	}, map[home]string{onAWS: "API Gateway is in front: a function gets whole requests"}},
}
