package service

import (
	"bytes"
	"context"
	"encoding/json/v2"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"time"
)

// requestTimeout is longer than API Gateway waits for a function, which is 30 seconds.
const requestTimeout = 35 * time.Second

// MaxPage is the largest number of ids on a page.
const MaxPage = 1000

// A Client calls the API at one URL. Its methods may be called by many goroutines. They return a
// *ResponseError when there is a response and it breaks the contract, and other errors when there
// is none.
type Client struct {
	url  string
	http *http.Client
}

// NewClient returns a client that keeps so many connections open. The URL has no slash at its end.
func NewClient(url string, connections int) *Client {
	transport := &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections}
	return &Client{url, &http.Client{Timeout: requestTimeout, Transport: transport}}
}

// Close closes the connections that are not in use.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// A ResponseError is a response that breaks the contract.
type ResponseError struct {
	Request string // method and path
	Status  int
	Reason  string
}

func (e *ResponseError) Error() string {
	return fmt.Sprintf("%s: status %d: %s", e.Request, e.Status, e.Reason)
}

// A Response is a response whose body was read.
type Response struct {
	*http.Response
	Content []byte
}

// Errorf is an error about the response.
func (r *Response) Errorf(format string, args ...any) error {
	return &ResponseError{r.Request.Method + " " + r.Request.URL.Path, r.StatusCode, fmt.Sprintf(format, args...)}
}

// Decode reads a body that has exactly the members of v.
func (r *Response) Decode(v any) error {
	if err := json.Unmarshal(r.Content, v, json.RejectUnknownMembers(true)); err != nil {
		return r.Errorf("%v: %s", err, r.Content)
	}
	return nil
}

// Send sends a request; headers are names and values. A body is JSON unless a header differs.
func (c *Client) Send(ctx context.Context, method, path string, body []byte, headers ...string) (*Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return &Response{res, content}, err
}

// exchange sends a request whose response must have that status, and decodes it.
func (c *Client) exchange(ctx context.Context, status int, v any, method, path string, body []byte, headers ...string) (*Response, error) {
	r, err := c.Send(ctx, method, path, body, headers...)
	switch {
	case err != nil:
		return r, err
	case r.StatusCode != status:
		return r, r.Errorf("want %d: %s", status, r.Content)
	default:
		return r, r.Decode(v)
	}
}

// A Created is the response to a create.
type Created struct {
	OrderID  string `json:"order_id"`
	Status   string `json:"status"`
	Replayed bool   `json:"-"`
}

// Create creates an order, with an idempotency key unless that is "".
func (c *Client) Create(ctx context.Context, body []byte, key string) (created Created, err error) {
	var headers []string
	if key != "" {
		headers = []string{"Idempotency-Key", key}
	}
	r, err := c.exchange(ctx, http.StatusCreated, &created, http.MethodPost, "/api/orders/create/", body, headers...)
	if err != nil {
		return created, err
	}
	created.Replayed = r.Header.Get("Idempotency-Replayed") == "true"
	location, err := r.Location() // resolved against the request
	if err != nil || location.String() != c.url+"/api/orders/"+created.OrderID+"/" {
		return created, r.Errorf("Location %q does not lead to the order", r.Header.Get("Location"))
	}
	return created, nil
}

// An Order is a whole order. Its times are zero, and its texts are "", where the API says null.
type Order struct {
	OrderID         string    `json:"order_id"`
	ClientReference string    `json:"client_reference"`
	UserID          string    `json:"user_id"`
	ItemIDs         []string  `json:"item_ids"`
	TotalAmount     string    `json:"total_amount"`
	Status          string    `json:"status"`
	CreatedAt       time.Time `json:"created_at"`
	StartedAt       time.Time `json:"started_at"`
	CompletedAt     time.Time `json:"completed_at"`
	Version         int       `json:"version"`
	Attempt         int       `json:"attempt"`
	FailedAt        time.Time `json:"failed_at"`
	CancelledAt     time.Time `json:"cancelled_at"`
	Reason          string    `json:"reason"`
	History         []Event   `json:"history"`
}

// An Event is a transition in the history of an order.
type Event struct {
	Transition string    `json:"transition"`
	At         time.Time `json:"at"`
	By         string    `json:"by"`
	Reason     string    `json:"reason"`
}

// Order reads a whole order.
func (c *Client) Order(ctx context.Context, id string) (o Order, err error) {
	r, err := c.get(ctx, "/api/orders/"+id+"/", &o)
	if err == nil && o.OrderID != id {
		err = r.Errorf("another order, %s", o.OrderID)
	}
	return o, err
}

// Status reads the status of an order.
func (c *Client) Status(ctx context.Context, id string) (string, error) {
	var short Created
	r, err := c.get(ctx, "/api/orders/"+id+"/status/", &short)
	if err == nil && short.OrderID != id {
		err = r.Errorf("another order, %s", short.OrderID)
	}
	return short.Status, err
}

// A Conflict is the refusal of a transition, with the order as it is.
type Conflict struct {
	Status  string `json:"order_status"`
	Version int    `json:"order_version"`
}

// Transition asks for a transition of an order: complete, fail, retry or cancel. A version of 0 is
// none. The conflict is nil unless the response is 409.
func (c *Client) Transition(ctx context.Context, id, name string, version int, reason string) (*Conflict, error) {
	fields := map[string]any{"reason": reason}
	if version != 0 {
		fields["version"] = version
	}
	body, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	r, err := c.Send(ctx, http.MethodPost, "/api/orders/"+id+"/"+name+"/", body)
	if err != nil {
		return nil, err
	}
	var conflict Conflict
	var done Created
	switch r.StatusCode {
	case http.StatusConflict:
		if json.Unmarshal(r.Content, &conflict) != nil || conflict.Status == "" || conflict.Version == 0 {
			return nil, r.Errorf("not a conflict: %s", r.Content)
		}
		return &conflict, nil
	case http.StatusOK:
		if err := r.Decode(&done); err != nil || done.OrderID != id {
			return nil, r.Errorf("another order: %s", r.Content)
		}
		return nil, nil
	default:
		return nil, r.Errorf("want 200 or 409: %s", r.Content)
	}
}

// Metrics are the numbers over all orders.
type Metrics struct {
	TotalOrders    int            `json:"total_orders"`
	AvgProcessTime float64        `json:"avg_process_time"` // seconds
	StatusCounts   map[string]int `json:"status_counts"`
}

// Unfinished is the number of orders that are Pending or Processing.
func (m Metrics) Unfinished() int { return m.StatusCounts["Pending"] + m.StatusCounts["Processing"] }

// Metrics reads the metrics.
func (c *Client) Metrics(ctx context.Context) (m Metrics, err error) {
	_, err = c.get(ctx, "/api/metrics/", &m)
	return m, err
}

var nextLink = regexp.MustCompile(`^<(\?[^>]*)>; rel="next"$`)

// Page reads a page of the list. It returns the ids, and the path of the next page, "" on the last.
func (c *Client) Page(ctx context.Context, path string) (ids []string, next string, err error) {
	var entries []struct {
		OrderID string `json:"order_id"`
	}
	r, err := c.get(ctx, path, &entries)
	if err != nil {
		return nil, "", err
	}
	for _, entry := range entries {
		ids = append(ids, entry.OrderID)
	}
	link := r.Header.Get("Link")
	if link == "" {
		return ids, "", nil
	}
	match := nextLink.FindStringSubmatch(link)
	if match == nil || len(ids) == 0 {
		return nil, "", r.Errorf("Link %q after %d ids", link, len(ids))
	}
	return ids, "/api/orders/ids/" + match[1], nil
}

// FirstPage is the path of the first page of so many ids.
func FirstPage(limit int) string { return fmt.Sprintf("/api/orders/ids/?limit=%d", limit) }

// IDs joins all pages of so many ids.
func (c *Client) IDs(ctx context.Context, limit int) (ids []string, err error) {
	for path := FirstPage(limit); path != ""; {
		var page []string
		at := path
		if page, path, err = c.Page(ctx, at); err != nil {
			return nil, err
		}
		if len(page) > limit {
			return nil, &ResponseError{"GET " + at, http.StatusOK, fmt.Sprintf("%d ids on a page", len(page))}
		}
		ids = append(ids, page...)
	}
	return ids, nil
}

func (c *Client) get(ctx context.Context, path string, v any) (*Response, error) {
	return c.exchange(ctx, http.StatusOK, v, http.MethodGet, path, nil)
}

// StatusOf is the status of the response that an error is about, 0 for other errors.
func StatusOf(err error) int {
	if e, ok := errors.AsType[*ResponseError](err); ok {
		return e.Status
	}
	return 0
}
