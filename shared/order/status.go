package order

// A Status is how far the system has got with an order. Statuses are ordered:
// an order only ever moves to a greater one.
//
//	Pending --start--> Processing --complete, once the processing time is over--> Completed
type Status uint8

const (
	// Pending is the status of an order that is stored and acknowledged, and
	// that nobody has begun to work on.
	Pending Status = iota

	// Processing is the status of an order that is being worked on. It stays so
	// for the processing time, 50 seconds unless configured otherwise.
	Processing

	// Completed is the last status. Nothing changes a completed order.
	Completed
)

// Statuses lists every status, in the order in which they are passed through.
var Statuses = [...]Status{Pending, Processing, Completed}

var statusNames = [...]string{Pending: "Pending", Processing: "Processing", Completed: "Completed"}

// predecessor is the transition table: the one status from which each status
// can be reached. Pending is reached by creation alone, and so only from itself.
var predecessor = [...]Status{Pending: Pending, Processing: Pending, Completed: Processing}

// String is the name of the status on the wire.
func (s Status) String() string {
	if int(s) < len(statusNames) {
		return statusNames[s]
	}
	return "unknown"
}

// ParseStatus returns the status of that exact name; ok is false when there is none.
func ParseStatus(name string) (s Status, ok bool) {
	for _, s := range Statuses {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
