package main

// apiGuards keep what is asked, and whatever goes wrong in answering, from a client's
// neighbours.
var apiGuards = []guard{
	{
		name:  "a panic is an answer, and harms no other request",
		holds: "I15",
		file:  "shared/api/endpoint.go",
		old:   `if p := recover(); p != nil {`,
		new:   `if p := any(nil); p != nil {`,
		test:  "TestAPanicOrAnUnknownErrorIsA500ThatSaysNothingOfTheInside",
	},
	{
		name:  "a store that is unavailable is a 503, not a fault of ours",
		holds: "F1 I15 I16",
		file:  "shared/api/problem.go",
		old:   `{order.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", retryAfter},`,
		new:   ``,
		test:  "TestAStoreThatCannotIsA503ThatSaysWhenToTryAgain",
	},
	{
		name:  "a 503 says when to try again",
		holds: "F1 I16",
		file:  "shared/api/problem.go",
		old:   `http.StatusServiceUnavailable, "unavailable", retryAfter}`,
		new:   `http.StatusServiceUnavailable, "unavailable", nil}`,
		test:  "TestAStoreThatCannotIsA503ThatSaysWhenToTryAgain",
	},
	{
		name:  "a deadline that passes is a 503",
		holds: "F1 F24 I16",
		file:  "shared/api/problem.go",
		old:   `if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {`,
		new:   `if errors.Is(err, context.Canceled) {`,
		test:  "TestAStoreThatCannotIsA503ThatSaysWhenToTryAgain",
	},
	{
		name:  "a body has a largest size, also when it announces none",
		holds: "F26 I2 I15",
		file:  "shared/api/create.go",
		old:   `case n > maxBody:`,
		new:   `case n > 1<<40:`,
		test:  "TestHTTP",
	},
	{
		name:  "two idempotency keys are not taken for one",
		holds: "I2 I3",
		file:  "shared/api/header.go",
		old:   `if len(values) > 1 || !visibleASCII(key, 255) || strings.Contains(key, ",") {`,
		new:   `if !visibleASCII(key, 255) || strings.Contains(key, ",") {`,
		test:  "TestHTTP",
	},
	{
		name:  "a retry gets the answer that it has missed, not the news",
		holds: "F3 F4 I3",
		file:  "shared/api/create.go",
		old:   `answerStatus(http.StatusCreated, o.ID, draft.TakenOverAs)`,
		new:   `answerStatus(http.StatusCreated, o.ID, o.Status)`,
		test:  "TestHTTP",
	},
	{
		name:  "a damaged cursor is refused",
		holds: "I12",
		file:  "shared/api/page.go",
		old:   `return position, encodeCursor(position) == cursor`,
		new:   `return position, true`,
		test:  "TestHTTP",
	},
}
