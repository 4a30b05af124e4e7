package main

import (
	"net/http"
	"strings"
	"testing"

	"orders/shared/order"
)

// I5: the commands call a real service, whose orders wait for a worker.
func TestTransitionsByCommand(t *testing.T) {
	s := startHere(t, newPath(t), "--fulfilment", "external")
	create := func() string {
		t.Helper()
		res, err := s.send("POST", "/api/orders/create/", strings.Replace(goodOrder, "{", `{"status":"Processing",`, 1), "Content-Type", "application/json")
		if err != nil || res.status != http.StatusCreated {
			t.Fatalf("create: %d %s %v", res.status, res.body, err)
		}
		return res.id
	}
	unknown := string(order.KeyedID("", "never used"))
	first, second, third := create(), create(), create()
	env := map[string]string{"ORDERS_API": s.url + "/"}
	for _, tt := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"complete", first}, 1, "", "orders: /version is missing\n"},
		{[]string{"complete", first, "--version", "2"}, 0, "Completed\n", ""},
		{[]string{"complete", first, "--version", "2", "--api", s.url}, 0, "Completed\n", ""},
		{[]string{"cancel", first}, 1, "", "orders: the order is Completed at version 3\n"},
		{[]string{"fail", second, "--version", "2", "--reason", "no stock"}, 0, "Failed\n", ""},
		{[]string{"retry", second}, 1, "", "orders: /version is missing\n"},
		{[]string{"retry", second, "--version", "2"}, 1, "", "orders: the order is Failed at version 3\n"},
		{[]string{"retry", second, "--version=3", "--reason=new stock"}, 0, "Pending\n", ""},
		{[]string{"cancel", third, "--reason", " x", "--version=-1"}, 1, "",
			"orders: /reason must have visible characters only, and no space at either end\norders: /version must be an integer from 1 to 1000000000\n"},
		{[]string{"cancel", third}, 0, "Cancelled\n", ""},
		{[]string{"cancel", unknown}, 1, "", "orders: order not found\n"},
		{[]string{"cancel", third, "--api", s.url + "/v1"}, 1, "", "orders: there is nothing at this path\n"},
	} {
		code, stdout, stderr := invoke(t, env, tt.args...)
		if code != tt.code || stdout != tt.stdout || stderr != tt.stderr {
			t.Errorf("orders %q: exit code %d, %q, %q; want %d, %q, %q", tt.args, code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
		}
	}
	s.stop(t)
	if code, _, stderr := invoke(t, env, "cancel", third); code != exitFailed || strings.Count(stderr, "\n") != 1 {
		t.Errorf("without a service: exit code %d, %q", code, stderr)
	}
}
