package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"orders/shared/order"
	"orders/test/service"
)

// httpTransitionTests are about the four paths that change an order. The service completes orders by a
// timer.
var httpTransitionTests = []httpTest{
	{"I5 I9 a cancelled order says when and why, and the same call again is answered alike", func(c *client) {
		id, others := c.imported("cancel", `{"reason": "changed my mind", "version": 2}`)
		want := fmt.Sprintf(`{"order_id":"%s","status":"Cancelled"}`, id)
		again := []request{
			transition(id, "cancel", ""), transition(id, "cancel", "\n").with("Content-Type", "text/plain"), transition(id, "cancel", "{}"),
			transition(id, "cancel", `{"version": 2.0}`), transition(id, "cancel", `{"reason": "another"}`),
			{method: http.MethodPost, target: "/api/orders/" + id + "/cancel"},
			{method: http.MethodPost, target: "//api/orders/./" + id + "/cancel//"},
		}
		for _, r := range again {
			if res := c.send(r); res.StatusCode != http.StatusOK || string(res.body) != want {
				c.Errorf("%s %s: %s %s, not %s", r.target, r.body, res.Status, res.body, want)
			}
		}
		o := c.order(id)
		if o.Status != "Cancelled" || o.Version != 3 || o.Attempt != 1 || o.CancelledAt.IsZero() || !o.FailedAt.IsZero() || o.Reason != "changed my mind" {
			c.Errorf("cancelled as %+v", o)
		}
		c.sameHistory(o, "start", "cancel changed my mind")
		c.conflict(transition(id, "cancel", `{"version": 3}`), "Cancelled", 3)
		c.conflict(transition(id, "complete", ""), "Cancelled", 3)
		c.conflict(transition(id, "fail", `{"reason": "no stock"}`), "Cancelled", 3)
		c.conflict(transition(id, "retry", `{"version": 3}`), "Cancelled", 3)
		c.awaitCounts(map[string]int{"Pending": 0, "Processing": 0, "Completed": others, "Cancelled": 1})
	}},
	{"I4 I5 I9 a failed order waits for a retry, and is then processed once more", func(c *client) {
		id, others := c.imported("fail", `{"version": 2, "reason": "no stock"}`)
		for _, body := range []string{`{"version": 2, "reason": "no stock"}`, `{"reason": "another"}`} {
			if res := c.send(transition(id, "fail", body)); res.StatusCode != http.StatusOK || decode[service.Created](c, res).Status != "Failed" {
				c.Errorf("failed again: %s %s", res.Status, res.body)
			}
		}
		c.awaitCounts(map[string]int{"Pending": 0, "Processing": 0, "Completed": others, "Failed": 1})
		o := c.order(id)
		if o.Status != "Failed" || o.Version != 3 || o.FailedAt.IsZero() || !o.CancelledAt.IsZero() || o.Reason != "no stock" {
			c.Errorf("failed as %+v", o)
		}
		c.conflict(transition(id, "complete", ""), "Failed", 3)
		c.conflict(transition(id, "retry", `{"version": 4}`), "Failed", 3)
		res := c.send(transition(id, "retry", `{"version": 3, "reason": "new stock"}`))
		if got := decode[service.Created](c, res); res.StatusCode != http.StatusOK || got.OrderID != id || got.Status != "Pending" {
			c.Fatalf("retried: %s %s", res.Status, res.body)
		}
		c.awaitVersion(order.ID(id), 6)
		c.conflict(transition(id, "retry", `{"version": 3}`), "Completed", 6)
		if o = c.order(id); o.Status != "Completed" || o.Attempt != 1 || !o.FailedAt.IsZero() || o.Reason != "" {
			c.Errorf("completed as %+v", o)
		}
		c.sameHistory(o, "start", "fail no stock", "retry new stock", "start", "complete")
		c.awaitCounts(map[string]int{"Pending": 0, "Processing": 0, "Completed": others + 1})
	}},
	{"I7 an order is not completed before its time, and a completed one is final", func(c *client) {
		for early := false; !early; {
			id := c.mustCreate(post(withField("status", `"Processing"`))).OrderID
			res := c.send(transition(id, "complete", ""))
			if early = res.StatusCode == http.StatusConflict; early {
				if got := decode[refusal](c, res); got.OrderStatus != "Processing" || got.OrderVersion != 2 {
					c.Errorf("completed early: %s", res.body)
				}
			}
			c.awaitStatus(order.ID(id), order.Completed)
			for _, body := range []string{"", `{"version": 2}`} {
				if res := c.send(transition(id, "complete", body)); res.StatusCode != http.StatusOK || decode[service.Created](c, res).Status != "Completed" {
					c.Errorf("completed again: %s %s", res.Status, res.body)
				}
			}
			c.conflict(transition(id, "complete", `{"version": 3}`), "Completed", 3)
			c.conflict(transition(id, "cancel", ""), "Completed", 3)
			c.conflict(transition(id, "fail", `{"reason": "no stock"}`), "Completed", 3)
			c.conflict(transition(id, "retry", `{"version": 3}`), "Completed", 3)
			c.sameHistory(c.order(id), "start", "complete")
		}
	}},
	{"57 a reason of any script and of 500 characters is kept", func(c *client) {
		for _, reason := range []string{"売り切れ 🛒", "' OR 1=1--", strings.Repeat("🛒", order.MaxReasonLength)} {
			id, _ := c.imported("fail", fmt.Sprintf(`{"reason": %s}`, quote(reason)))
			if o := c.order(id); o.Reason != reason {
				c.Errorf("sent %q, got %q", reason, o.Reason)
			}
		}
	}},
}

// imported imports orders as Processing until a transition of one comes before its completion. It
// returns the id of that order, and how many others there are.
func (c *client) imported(transitionName, body string) (id string, others int) {
	c.Helper()
	for ; ; others++ {
		id = c.mustCreate(post(withField("status", `"Processing"`))).OrderID
		res := c.send(transition(id, transitionName, body))
		if res.StatusCode == http.StatusOK {
			return id, others
		}
		if got := decode[refusal](c, res); got.OrderStatus != "Completed" {
			c.Fatalf("%s: %s %s", transitionName, res.Status, res.body)
		}
	}
}

// conflict sends a request that must be refused because of what the order is.
func (c *client) conflict(r request, status string, version int) {
	c.Helper()
	c.reject("60", r, http.StatusConflict, "conflict")
	if got := decode[refusal](c, c.send(r)); got.OrderStatus != status || got.OrderVersion != version {
		c.Errorf("%s %s: %+v, not %s at version %d", r.target, r.body, got, status, version)
	}
}

// sameHistory compares the history of an order: the name and the reason of each transition.
func (c *client) sameHistory(o service.Order, want ...string) {
	c.Helper()
	var got []string
	for _, e := range o.History {
		got = append(got, strings.TrimSpace(e.Transition+" "+e.Reason))
	}
	if !slices.Equal(got, want) || !slices.IsSortedFunc(o.History, func(a, b service.Event) int { return a.At.Compare(b.At) }) {
		c.Errorf("the history of %s is %+v, not %q", o.OrderID, o.History, want)
	}
}

// awaitCounts waits until the metrics have exactly these counts.
func (c *client) awaitCounts(want map[string]int) {
	c.Helper()
	Eventually(c, func() error {
		if got := decode[service.Metrics](c, c.send(get("/api/metrics/"))); !maps.Equal(got.StatusCounts, want) {
			return fmt.Errorf("metrics are %+v, not %v", got, want)
		}
		return nil
	})
}
