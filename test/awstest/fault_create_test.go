package awstest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"orders/test/awstest"
)

// F1, I2, I16: the table takes no create, whatever the reason, in any attempt.
func TestACreateThatTheTableCannotTakeIsRefusedAndLeavesNothing(t *testing.T) {
	h := openFaulty(t)
	for name, fault := range map[string]awstest.Fault{
		"throttled":           awstest.Throttled,
		"throughput exceeded": awstest.ThroughputExceeded,
		"an internal error":   awstest.ServiceDown(500),
		"service unavailable": awstest.ServiceDown(503),
		"expired credentials": awstest.ExpiredCredentials,
		"no answer":           awstest.NeverArrives,
	} {
		end := h.faults.Begin("PutItem", fault)
		for _, key := range []string{"", name} {
			answer := h.ask(t.Context(), name, key)
			if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
				t.Errorf("%s: answer %d, header %v", name, answer.Code, answer.Header())
			}
			if told := answer.Body.String(); strings.Contains(told, "throughput") || strings.Contains(told, "token") || strings.Contains(told, "dynamodb") {
				t.Errorf("%s: the answer tells of the inside: %s", name, told)
			}
			if n := h.calls.Take().Calls["PutItem"]; n > 3 {
				t.Errorf("%s: %d attempts", name, n)
			}
		}
		end()
		if ids := h.list(7); len(ids) > 0 {
			t.Fatalf("%s: %v is there", name, ids)
		}
	}
	h.create(3)
	h.audit()
}

// F2, F3, I3: a create is lost on its way, or its answer is; the SDK or the client tries
// again.
func TestACreateIsOneOrderHoweverOftenItIsTried(t *testing.T) {
	never, lost, twice := awstest.NeverArrives, awstest.AnswerLost, awstest.Twice
	h := openFaulty(t)
	for _, test := range []struct {
		name     string
		faults   []awstest.Fault // of the first request's attempts
		key      bool
		answered int // to the first request; one that is refused is sent again
		replayed bool
	}{
		{"the answer is lost", []awstest.Fault{lost}, false, http.StatusCreated, false},
		{"two answers are lost", []awstest.Fault{lost, lost}, false, http.StatusCreated, false},
		{"it arrives twice", []awstest.Fault{twice}, false, http.StatusCreated, false},
		{"it arrives at the third attempt", []awstest.Fault{never, never}, true, http.StatusCreated, false},
		{"it never arrives", []awstest.Fault{never, never, never}, true, http.StatusServiceUnavailable, false},
		{"all answers are lost", []awstest.Fault{lost, lost, lost}, true, http.StatusServiceUnavailable, true},
		{"the last answer is lost", []awstest.Fault{never, never, lost}, true, http.StatusServiceUnavailable, true},
	} {
		key := ""
		if test.key {
			key = test.name
		}
		h.faults.Play("PutItem", test.faults...)
		answer := h.ask(t.Context(), test.name, key)
		if answer.Code != test.answered {
			t.Errorf("%s: answer %d %s", test.name, answer.Code, answer.Body)
		}
		if answer.Code != http.StatusCreated {
			answer = h.ask(t.Context(), test.name, key)
		}
		if replayed := answer.Header().Get("Idempotency-Replayed") != ""; answer.Code != http.StatusCreated || replayed != test.replayed {
			t.Errorf("%s: then %d, replayed %v", test.name, answer.Code, replayed)
		}
	}
	h.audit()
}

// F4, I3, I4: the function dies when the order is written and nobody was told, or just
// before.
func TestTheRetryOfACreateThatDiedIsToldOfTheOrder(t *testing.T) {
	h := openFaulty(t)
	create := awstest.Mortal(func(ctx context.Context, key string, _ []byte) ([]byte, error) {
		return h.ask(ctx, key, key).Body.Bytes(), nil
	})
	for key, test := range map[string]struct {
		killed   awstest.Fault
		replayed bool
	}{
		"after the write":  {awstest.KilledAfter, true},
		"before the write": {awstest.KilledBefore, false},
	} {
		h.faults.Play("PutItem", test.killed)
		if answer, err := create(t.Context(), key, nil); err == nil {
			t.Errorf("%s: it lives and answers %s", key, answer)
		}
		answer := h.ask(t.Context(), key, key)
		if replayed := answer.Header().Get("Idempotency-Replayed") != ""; answer.Code != http.StatusCreated || replayed != test.replayed {
			t.Errorf("%s: the retry is answered %d, replayed %v", key, answer.Code, replayed)
		}
		if answer := h.ask(t.Context(), "another request", key); answer.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s: another request under the key is answered %d", key, answer.Code)
		}
	}
	h.audit()
}
