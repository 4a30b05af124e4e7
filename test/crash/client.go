package main

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"io"
	"net/http"
	"strings"
	"time"
)

// requestLimit bounds a request. No request of the trial takes the service that
// long.
const requestLimit = 10 * time.Second

// A client asks the service. Its methods return a violation when the service may
// not answer so, and another error when there is no answer.
type client struct {
	ctx  context.Context // of the trial
	http *http.Client
	url  string
}

func newClient(ctx context.Context, url string, connections int) *client {
	return &client{
		ctx: ctx, url: url,
		http: &http.Client{
			Timeout:   requestLimit,
			Transport: &http.Transport{MaxIdleConnsPerHost: connections},
		},
	}
}

type createAnswer struct {
	OrderID  string `json:"order_id"`
	Status   string `json:"status"`
	replayed bool
}

// create asks for the order, with its key if it has one.
func (c *client) create(a ask) (answer createAnswer, err error) {
	header, err := c.post(a, a.amount(), http.StatusCreated, &answer)
	answer.replayed = header.Get("Idempotency-Replayed") == "true"
	return answer, err
}

// createOther asks for another order under the key of this one, in vain.
func (c *client) createOther(a ask) error {
	var problem struct{}
	_, err := c.post(a, "0.07", http.StatusUnprocessableEntity, &problem)
	return err
}

func (c *client) post(a ask, amount string, status int, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, c.url+"/api/orders/create/", bytes.NewReader(a.body(amount)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if a.keyed() {
		req.Header.Set("Idempotency-Key", a.reference())
	}
	return c.do(req, status, answer)
}

type orderAnswer struct {
	OrderID         string    `json:"order_id"`
	ClientReference string    `json:"client_reference"`
	UserID          string    `json:"user_id"`
	ItemIDs         []string  `json:"item_ids"`
	TotalAmount     string    `json:"total_amount"`
	Status          string    `json:"status"`
	CreatedAt       time.Time `json:"created_at"`
	StartedAt       time.Time `json:"started_at"`
	CompletedAt     time.Time `json:"completed_at"`
}

func (c *client) order(id string) (answer orderAnswer, err error) {
	_, err = c.get("/api/orders/"+id+"/", &answer)
	return answer, err
}

func (c *client) status(id string) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	_, err := c.get("/api/orders/"+id+"/status/", &answer)
	return answer.Status, err
}

type metricsAnswer struct {
	TotalOrders    int                                          `json:"total_orders"`
	AvgProcessTime float64                                      `json:"avg_process_time"`
	StatusCounts   struct{ Pending, Processing, Completed int } `json:"status_counts"`
}

func (c *client) metrics() (answer metricsAnswer, err error) {
	_, err = c.get("/api/metrics/", &answer)
	return answer, err
}

// page returns the ids of one page of the list, and the path of the next one, ""
// on the last.
func (c *client) page(path string) (ids []string, next string, err error) {
	var answer []struct {
		OrderID string `json:"order_id"`
	}
	header, err := c.get(path, &answer)
	for _, entry := range answer {
		ids = append(ids, entry.OrderID)
	}
	if query, _, more := strings.Cut(strings.TrimPrefix(header.Get("Link"), "<"), ">"); more {
		next = "/api/orders/ids/" + query
	}
	return ids, next, err
}

func (c *client) get(path string, answer any) (http.Header, error) {
	req, err := http.NewRequestWithContext(c.ctx, http.MethodGet, c.url+path, nil)
	if err != nil {
		return nil, err
	}
	return c.do(req, http.StatusOK, answer)
}

// do makes a request and reads the answer, which is to have that status.
func (c *client) do(req *http.Request, status int, answer any) (http.Header, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	what := req.Method + " " + req.URL.Path
	switch err := json.Unmarshal(content, answer); {
	case res.StatusCode == http.StatusNotFound:
		return nil, broken(durable, "%s: %s", what, res.Status)
	case res.StatusCode != status:
		return nil, broken(answersWell, "%s: %s, not %d: %s", what, res.Status, status, content)
	case err != nil:
		return nil, broken(answersWell, "%s: %s: %v", what, content, err)
	}
	return res.Header, nil
}
