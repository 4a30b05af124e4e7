package api

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"orders/shared/order"
)

// maxPage is the largest and the default number of ids on a page.
const maxPage = 1000

// status handles GET /api/orders/{order_id}/status/.
func (a *api) status(r *http.Request) (response, error) {
	o, err := a.findOrder(r)
	if err != nil {
		return response{}, err
	}
	return newStatusResponse(http.StatusOK, o.ID, o.Status), nil
}

// orderResponse is the whole order. Times are null until they are set.
type orderResponse struct {
	OrderID         order.ID `json:"order_id"`
	ClientReference *string  `json:"client_reference"`
	UserID          string   `json:"user_id"`
	ItemIDs         []string `json:"item_ids"`
	TotalAmount     string   `json:"total_amount"`
	Status          string   `json:"status"`
	CreatedAt       *string  `json:"created_at"`
	StartedAt       *string  `json:"started_at"`
	CompletedAt     *string  `json:"completed_at"`
	Version         int      `json:"version"`
	Attempt         int      `json:"attempt"`
	FailedAt        *string  `json:"failed_at"`
	CancelledAt     *string  `json:"cancelled_at"`
	Reason          *string  `json:"reason"`
	History         []event  `json:"history"`
}

// event is a transition that was made.
type event struct {
	Transition string  `json:"transition"`
	At         *string `json:"at"`
	By         *string `json:"by"`
	Reason     *string `json:"reason"`
}

// optional returns a text, nil for an empty one.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// order handles GET /api/orders/{order_id}/.
func (a *api) order(r *http.Request) (response, error) {
	o, err := a.findOrder(r)
	if err != nil {
		return response{}, err
	}
	body := orderResponse{
		OrderID: o.ID, UserID: o.UserID, ItemIDs: o.ItemIDs,
		TotalAmount: o.TotalAmount.String(), Status: o.Status.String(),
		CreatedAt: formatTime(o.CreatedAt), StartedAt: formatTime(o.StartedAt), CompletedAt: formatTime(o.CompletedAt),
		ClientReference: optional(o.ClientReference), Version: o.Version(), Attempt: o.Attempt(),
		History: make([]event, 0, order.MaxHistory),
	}
	if e := o.Exception; e != nil {
		body.FailedAt, body.CancelledAt, body.Reason = formatTime(e.FailedAt), formatTime(e.CancelledAt), optional(e.Reason)
	}
	for _, e := range o.History() {
		body.History = append(body.History, event{e.Transition.String(), formatTime(e.At), optional(e.By), optional(e.Reason)})
	}
	return newJSONResponse(o.ID, body)
}

// formatTime returns t in RFC 3339 with milliseconds, nil for the zero time.
func formatTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// findOrder reads the order whose id is in the path. It does not ask the store for an invalid id.
func (a *api) findOrder(r *http.Request) (order.Order, error) {
	id, err := order.ParseID(r.PathValue("order_id"))
	if err != nil {
		return order.Order{}, err
	}
	return a.Orders.Get(r.Context(), id)
}

// metricsResponse is the tally of all orders. AvgProcessTime is in seconds. Exact is false, or not
// there: a client that does not know it reads exact metrics as always.
type metricsResponse struct {
	TotalOrders    int64        `json:"total_orders"`
	AvgProcessTime float64      `json:"avg_process_time"`
	StatusCounts   statusCounts `json:"status_counts"`
	Exact          *bool        `json:"exact,omitzero"`
}

type statusCounts struct {
	Pending    int64 `json:"Pending"`
	Processing int64 `json:"Processing"`
	Completed  int64 `json:"Completed"`
	Failed     int64 `json:"Failed,omitzero"`
	Cancelled  int64 `json:"Cancelled,omitzero"`
}

// metrics handles GET /api/metrics/.
func (a *api) metrics(r *http.Request) (response, error) {
	t, err := a.Metrics.Metrics(r.Context())
	if err != nil {
		return response{}, err
	}
	body := metricsResponse{
		TotalOrders: t.Total(), AvgProcessTime: t.AvgProcessTime(),
		StatusCounts: statusCounts{
			Pending:    t.ByStatus[order.Pending],
			Processing: t.ByStatus[order.Processing],
			Completed:  t.ByStatus[order.Completed],
			Failed:     t.ByStatus[order.Failed],
			Cancelled:  t.ByStatus[order.Cancelled],
		},
	}
	if t.Inexact {
		body.Exact = new(false)
	}
	return newJSONResponse("", body)
}

// live handles GET /livez. The response itself shows that the process runs.
func (*api) live(*http.Request) (response, error) {
	return newJSONResponse("", map[string]string{"status": "ok"})
}

// ready handles GET /readyz and GET /healthz.
func (a *api) ready(r *http.Request) (response, error) {
	if err := a.Health(r.Context()); err != nil {
		return response{}, fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return newJSONResponse("", map[string]string{"status": "ok"})
}

type listEntry struct {
	OrderID order.ID `json:"order_id"`
}

// ids handles GET /api/orders/ids/.
func (a *api) ids(r *http.Request) (response, error) {
	limit, after, err := parsePageQuery(r.URL.RawQuery)
	if err != nil {
		return response{}, err
	}
	page, err := a.Orders.List(r.Context(), limit, after)
	if errors.Is(err, order.ErrInvalidCursor) {
		return response{}, violations{cursorViolation}
	}
	if err != nil {
		return response{}, err
	}
	entries := make([]listEntry, len(page.IDs))
	for i, id := range page.IDs {
		entries[i].OrderID = id
	}
	res, err := newJSONResponse("", entries)
	if page.Next != "" {
		// The reference is relative to the list, so that it works behind a prefix of a proxy.
		next := fmt.Sprintf(`<?limit=%d&cursor=%s>; rel="next"`, limit, encodeCursor(page.Next))
		res.header = append(res.header, headerField{"Link", next})
	}
	return res, err
}

var (
	limitViolation  = violation{Parameter: "limit", Code: "invalid_limit", Detail: "must be given once and be an integer from 1 to 1000"}
	cursorViolation = violation{Parameter: "cursor", Code: "invalid_cursor", Detail: "must be taken, as it is, from a Link header that an earlier page gave"}
)

// parsePageQuery parses the query of a list. It ignores unknown parameters.
func parsePageQuery(query string) (limit int, after string, err error) {
	if query == "" {
		return maxPage, "", nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, "", violations{{Code: "invalid_query", Detail: "must be percent-encoded name=value pairs joined by &"}}
	}
	var all violations
	limit, ok := parseLimit(values)
	if !ok {
		all = append(all, limitViolation)
	}
	if cursors, given := values["cursor"]; given {
		if after, ok = decodeCursor(cursors[0]); !ok || len(cursors) > 1 {
			all = append(all, cursorViolation)
		}
	}
	if all != nil {
		return 0, "", all
	}
	return limit, after, nil
}

func parseLimit(values url.Values) (limit int, ok bool) {
	limits, given := values["limit"]
	if !given {
		return maxPage, true
	}
	limit, err := strconv.Atoi(limits[0])
	return limit, err == nil && len(limits) == 1 && 1 <= limit && limit <= maxPage && limits[0][0] != '+'
}

// A cursor is a checksum and a position of the store, in base64url. The checksum is not a secret: it
// detects a damaged cursor, which would otherwise lead to a wrong page.
const checksumSize = 6

func checksum(position string) []byte {
	sum := sha256.Sum256([]byte("cursor " + position))
	return sum[:checksumSize]
}

func encodeCursor(position string) string {
	return base64.RawURLEncoding.EncodeToString(append(checksum(position), position...))
}

func decodeCursor(cursor string) (position string, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) <= checksumSize {
		return "", false
	}
	position = string(raw[checksumSize:])
	return position, encodeCursor(position) == cursor
}
