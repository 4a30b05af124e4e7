package acceptance

import (
	"encoding/json/v2"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for something that is to happen by itself.
const patience = 60 * time.Second

// A home is the home under test, as one test sees it.
type home struct {
	*testing.T
	url            string
	processingTime time.Duration
}

func open(t *testing.T) *home {
	t.Helper()
	url := os.Getenv("ORDERS_URL")
	if url == "" {
		t.Skip("ORDERS_URL is not set: there is no home to test. See `make local-test` and `make deploy-test`.")
	}
	processingTime, err := time.ParseDuration(os.Getenv("PROCESSING_TIME"))
	if err != nil {
		t.Fatalf("PROCESSING_TIME: %v", err)
	}
	return &home{t, url, processingTime}
}

// An answer is what came back, with its body read.
type answer struct {
	*http.Response
	body []byte
}

// ask sends a request; headers are names and values.
func (h *home) ask(method, path, body string, headers ...string) answer {
	h.Helper()
	req, err := http.NewRequestWithContext(h.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	if res.StatusCode >= http.StatusInternalServerError { // I15
		h.Fatalf("%s %s is answered %s: %s", method, path, res.Status, content)
	}
	return answer{res, content}
}

// get asks for something that is there.
func get[T any](h *home, path string) (v T) {
	h.Helper()
	a := h.ask(http.MethodGet, path, "")
	if a.StatusCode != http.StatusOK {
		h.Fatalf("GET %s is answered %s: %s", path, a.Status, a.body)
	}
	return decode[T](h, a)
}

func decode[T any](h *home, a answer) (v T) {
	h.Helper()
	if err := json.Unmarshal(a.body, &v, json.RejectUnknownMembers(true)); err != nil {
		h.Fatalf("%s %s: %v", a.Status, a.body, err)
	}
	return v
}

// A summary is an order in short.
type summary struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
}

// An order is a whole order.
type order struct {
	OrderID         string     `json:"order_id"`
	ClientReference *string    `json:"client_reference"`
	UserID          string     `json:"user_id"`
	ItemIDs         []string   `json:"item_ids"`
	TotalAmount     string     `json:"total_amount"`
	Status          string     `json:"status"`
	CreatedAt       time.Time  `json:"created_at"`
	StartedAt       *time.Time `json:"started_at"`
	CompletedAt     *time.Time `json:"completed_at"`
}

// create sends a create that is to be answered 201. It does not look for
// Idempotency-Replayed: when an answer of the store is lost, its SDK tries again and
// finds the order there.
func (h *home) create(body string, headers ...string) summary {
	h.Helper()
	a := h.ask(http.MethodPost, "/api/orders/create/", body, headers...)
	if a.StatusCode != http.StatusCreated {
		h.Fatalf("create is answered %s: %s", a.Status, a.body)
	}
	s := decode[summary](h, a)
	at, err := a.Location() // which resolves it
	if err != nil || at.String() != h.url+"/api/orders/"+s.OrderID+"/" {
		h.Errorf("Location is %q, which leads to %v, %v", a.Header.Get("Location"), at, err)
	}
	return s
}

func (h *home) order(id string) order {
	h.Helper()
	return get[order](h, "/api/orders/"+id+"/")
}

// await waits for an order to be completed. On the way its status never goes back (I6).
func (h *home) await(id string) order {
	h.Helper()
	statuses := []string{"Pending", "Processing", "Completed"}
	reached := 0
	h.eventually(func() error {
		status := get[summary](h, "/api/orders/"+id+"/status/").Status
		at := slices.Index(statuses, status)
		if at < reached {
			h.Fatalf("order %s is %s after %s", id, status, statuses[reached])
		}
		reached = at
		if status != "Completed" {
			return fmt.Errorf("order %s is %s", id, status)
		}
		return nil
	})
	return h.order(id)
}

// eventually waits until check returns nil.
func (h *home) eventually(check func() error) {
	h.Helper()
	limit := h.processingTime + patience
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			h.Fatalf("not within %s: %v", limit, err)
		}
	}
}

// unique is a name that no earlier run has used in this home.
func unique(name string) string { return fmt.Sprintf("%s-%d", name, time.Now().UnixNano()) }
