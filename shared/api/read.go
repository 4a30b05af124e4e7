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

// maxPage is the largest number of ids on a page, and the one without a limit.
const maxPage = 1000

// status answers GET /api/orders/{order_id}/status/.
func (a *api) status(r *http.Request) (response, error) {
	o, err := a.find(r)
	if err != nil {
		return response{}, err
	}
	return answerStatus(http.StatusOK, o.ID, o.Status), nil
}

// orderAnswer is the whole order. Times are in UTC, null until they are set.
type orderAnswer struct {
	OrderID         order.ID `json:"order_id"`
	ClientReference *string  `json:"client_reference"`
	UserID          string   `json:"user_id"`
	ItemIDs         []string `json:"item_ids"`
	TotalAmount     string   `json:"total_amount"`
	Status          string   `json:"status"`
	CreatedAt       *string  `json:"created_at"`
	StartedAt       *string  `json:"started_at"`
	CompletedAt     *string  `json:"completed_at"`
}

// order answers GET /api/orders/{order_id}/.
func (a *api) order(r *http.Request) (response, error) {
	o, err := a.find(r)
	if err != nil {
		return response{}, err
	}
	answer := orderAnswer{
		OrderID: o.ID, UserID: o.UserID, ItemIDs: o.ItemIDs,
		TotalAmount: o.TotalAmount.String(), Status: o.Status.String(),
		CreatedAt: instant(o.CreatedAt), StartedAt: instant(o.StartedAt), CompletedAt: instant(o.CompletedAt),
	}
	if o.ClientReference != "" {
		answer.ClientReference = &o.ClientReference
	}
	return answerJSON(o.ID, answer)
}

// instant is t in RFC 3339 with milliseconds, nil when it is not set.
func instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// find returns the order that the path names. What does not look like an id is
// not looked for.
func (a *api) find(r *http.Request) (order.Order, error) {
	id, err := order.ParseID(r.PathValue("order_id"))
	if err != nil {
		return order.Order{}, err
	}
	return a.Orders.Get(r.Context(), id)
}

// metricsAnswer counts all orders. AvgProcessTime is in seconds.
type metricsAnswer struct {
	TotalOrders    int64        `json:"total_orders"`
	AvgProcessTime float64      `json:"avg_process_time"`
	StatusCounts   statusCounts `json:"status_counts"`
}

type statusCounts struct {
	Pending    int64 `json:"Pending"`
	Processing int64 `json:"Processing"`
	Completed  int64 `json:"Completed"`
}

// metrics answers GET /api/metrics/.
func (a *api) metrics(r *http.Request) (response, error) {
	t, err := a.Metrics.Metrics(r.Context())
	if err != nil {
		return response{}, err
	}
	return answerJSON("", metricsAnswer{
		TotalOrders: t.Total(), AvgProcessTime: t.AvgProcessTime(),
		StatusCounts: statusCounts{
			Pending:    t.ByStatus[order.Pending],
			Processing: t.ByStatus[order.Processing],
			Completed:  t.ByStatus[order.Completed],
		},
	})
}

// live answers GET /livez: there is no more to say than that there is an answer.
func (*api) live(*http.Request) (response, error) {
	return answerJSON("", map[string]string{"status": "ok"})
}

// ready answers GET /readyz and GET /healthz.
func (a *api) ready(r *http.Request) (response, error) {
	if err := a.Health(r.Context()); err != nil {
		return response{}, fmt.Errorf("%w: %w", order.ErrUnavailable, err)
	}
	return answerJSON("", map[string]string{"status": "ok"})
}

type listEntry struct {
	OrderID order.ID `json:"order_id"`
}

// ids answers GET /api/orders/ids/.
func (a *api) ids(r *http.Request) (response, error) {
	limit, after, err := pageAsked(r.URL.RawQuery)
	if err != nil {
		return response{}, err
	}
	page, err := a.Orders.List(r.Context(), limit, after)
	if errors.Is(err, order.ErrInvalidCursor) {
		return response{}, faults{invalidCursor}
	}
	if err != nil {
		return response{}, err
	}
	entries := make([]listEntry, len(page.IDs))
	for i, id := range page.IDs {
		entries[i].OrderID = id
	}
	res, err := answerJSON("", entries)
	if page.Next != "" {
		// Relative to the list itself, whatever prefix a proxy has added to its path.
		next := fmt.Sprintf(`<?limit=%d&cursor=%s>; rel="next"`, limit, encodeCursor(page.Next))
		res.header = append(res.header, headerField{"Link", next})
	}
	return res, err
}

var (
	invalidLimit  = fault{Parameter: "limit", Code: "invalid_limit", Detail: "must be given once and be an integer from 1 to 1000"}
	invalidCursor = fault{Parameter: "cursor", Code: "invalid_cursor", Detail: "must be taken, as it is, from a Link header that an earlier page gave"}
)

// pageAsked reads the query of a list: how many ids, and the position after
// which they begin. Parameters that it does not know are none of its business.
func pageAsked(query string) (limit int, after string, err error) {
	if query == "" {
		return maxPage, "", nil
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, "", faults{{Code: "invalid_query", Detail: "must be percent-encoded name=value pairs joined by &"}}
	}
	var found faults
	limit, ok := limitAsked(values)
	if !ok {
		found = append(found, invalidLimit)
	}
	if cursors, given := values["cursor"]; given {
		if after, ok = decodeCursor(cursors[0]); !ok || len(cursors) > 1 {
			found = append(found, invalidCursor)
		}
	}
	if found != nil {
		return 0, "", found
	}
	return limit, after, nil
}

func limitAsked(values url.Values) (limit int, ok bool) {
	limits, given := values["limit"]
	if !given {
		return maxPage, true
	}
	limit, err := strconv.Atoi(limits[0])
	return limit, err == nil && len(limits) == 1 && 1 <= limit && limit <= maxPage && limits[0][0] != '+'
}

// A cursor on the wire is a store's position behind a checksum, in base64url.
// The checksum is no secret: it tells a damaged cursor from a whole one, so that a page
// is never silently a wrong one.
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
