package service

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
)

// clientOf returns a client of a server that always gives this response.
func clientOf(t *testing.T, status int, body string, headers ...string) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if len(headers) > 0 {
			w.Header().Set(headers[0], headers[1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return NewClient(s.URL, 1)
}

func TestResponsesThatBreakTheContractAreErrors(t *testing.T) {
	create := func(c *Client) error { _, err := c.Create(t.Context(), []byte("{}"), "key"); return err }
	order := func(c *Client) error { _, err := c.Order(t.Context(), "A"); return err }
	status := func(c *Client) error { _, err := c.Status(t.Context(), "A"); return err }
	metrics := func(c *Client) error { _, err := c.Metrics(t.Context()); return err }
	list := func(c *Client) error { _, err := c.IDs(t.Context(), 1); return err }
	for name, tt := range map[string]struct {
		call   func(*Client) error
		client *Client
		want   string // "" for none
	}{
		"a create":                       {create, clientOf(t, 201, `{"order_id":"A","status":"Pending"}`, "Location", "../A/"), ""},
		"a create with another status":   {create, clientOf(t, 200, `{"order_id":"A","status":"Pending"}`, "Location", "../A/"), "want 201"},
		"a create with another Location": {create, clientOf(t, 201, `{"order_id":"A","status":"Pending"}`, "Location", "../B/"), "does not lead"},
		"a create without Location":      {create, clientOf(t, 201, `{"order_id":"A","status":"Pending"}`), "does not lead"},
		"an order":                       {order, clientOf(t, 200, `{"order_id":"A","client_reference":null,"started_at":null}`), ""},
		"an order with another member":   {order, clientOf(t, 200, `{"order_id":"A","price":1}`), "price"},
		"another order":                  {order, clientOf(t, 200, `{"order_id":"B"}`), "another order"},
		"an order that is gone":          {order, clientOf(t, 404, `{}`), "want 200"},
		"a status":                       {status, clientOf(t, 200, `{"order_id":"A","status":"Pending"}`), ""},
		"the status of another order":    {status, clientOf(t, 200, `{"order_id":"B","status":"Pending"}`), "another order"},
		"metrics":                        {metrics, clientOf(t, 200, `{"total_orders":1,"avg_process_time":0.5,"status_counts":{"Pending":1}}`), ""},
		"metrics that are not JSON":      {metrics, clientOf(t, 200, `<html>`), "invalid"},
		"a page":                         {list, clientOf(t, 200, `[{"order_id":"A"}]`), ""},
		"a page that is too long":        {list, clientOf(t, 200, `[{"order_id":"A"},{"order_id":"B"}]`), "2 ids on a page"},
		"a link to another server":       {list, clientOf(t, 200, `[{"order_id":"A"}]`, "Link", `<http://x/>; rel="next"`), "Link"},
		"an empty page before another":   {list, clientOf(t, 200, `[]`, "Link", `<?cursor=1>; rel="next"`), "after 0 ids"},
	} {
		err := tt.call(tt.client)
		if tt.want == "" && err != nil || tt.want != "" && (StatusOf(err) == 0 || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

const scriptVariable = "SERVICE_TEST_SCRIPT"

// TestMain makes the test binary be another program when that variable is set.
func TestMain(m *testing.M) {
	switch os.Getenv(scriptVariable) {
	case "":
		os.Exit(m.Run())
	case "serve":
		serve()
	case "fail":
		_, _ = os.Stdout.WriteString("no address\n")
		os.Exit(1)
	}
}

// serve prints an address and waits for SIGTERM.
func serve() {
	terminated, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	_, _ = os.Stdout.WriteString("it listens on http://127.0.0.1:1 (for ever)\n")
	<-terminated.Done()
}

func script(t *testing.T, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), scriptVariable+"="+name)
	return cmd
}

func TestAProcessIsKilledOrStopped(t *testing.T) {
	p, err := Start(script(t, "serve"))
	if err != nil || p.URL != "http://127.0.0.1:1" || p.Ending() {
		t.Fatalf("started %+v, %v", p, err)
	}
	if err := p.Kill(); err != nil || !p.Ending() {
		t.Errorf("killed: %v", err)
	}
	if err := p.Stop(); err == nil {
		t.Error("a process that was killed passes for one that ended well")
	}
	if p, err = Start(script(t, "serve")); err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil || !p.Ending() {
		t.Errorf("stopped: %v", err)
	}
}

func TestAProcessThatEndsByItselfIsFound(t *testing.T) {
	if p, err := Start(script(t, "fail")); err == nil || !strings.Contains(err.Error(), `"no address\n"`) {
		t.Errorf("started %+v, %v", p, err)
	}
	p, err := Run(script(t, "fail"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited()
	if err := p.Kill(); err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("killed: %v", err)
	}
}
