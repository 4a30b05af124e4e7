package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// I5: the commands call the API behind any prefix. What the API says is tested in cmd/orders.
func TestTransitionsByCommand(t *testing.T) {
	const path = "/prod/api/orders/ORD01HZX000000000000000000000/"
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for name, want := range map[string]string{
			"cancel": `{}`, "complete": `{"version":2}`, "fail": `{"reason":"no stock"}`, "retry": `{"reason":"new stock","version":3}`,
		} {
			if r.Method == http.MethodPost && r.URL.Path == path+name+"/" && string(body) == want && r.Header.Get("Content-Type") == "application/json" {
				_, _ = io.WriteString(w, `{"order_id":"ORD01HZX000000000000000000000","status":"`+name+`"}`)
				return
			}
		}
		http.Error(w, "no such request", http.StatusBadGateway)
	}))
	defer api.Close()
	t.Setenv("ORDERS_API", api.URL+"/prod")
	const id = "ORD01HZX000000000000000000000"
	for _, args := range [][]string{
		{"cancel", id}, {"complete", id, "--version", "2"}, {"fail", id, "--reason", "no stock"}, {"retry", id, "--version", "3", "--reason", "new stock"},
	} {
		if code, stdout, stderr := invoke(t, args...); code != exitOK || stdout != args[0]+"\n" {
			t.Errorf("%q: exit code %d, %q, %q", args, code, stdout, stderr)
		}
	}
	want := "ordersctl: " + api.URL + "/api/orders/" + id + "/cancel/ answers 502 Bad Gateway\n"
	if code, _, stderr := invoke(t, "cancel", id, "--api", api.URL); code != exitFailed || stderr != want {
		t.Errorf("exit code %d, %q, not %q", code, stderr, want)
	}
}
