package api

import (
	"context"
	"encoding/json/v2"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"orders/shared/order"
)

// A problem is the body of an error response (RFC 9457). Code is its stable name: the code of the
// first violation, if there are violations.
type problem struct {
	Type     string      `json:"type"`
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Code     string      `json:"code"`
	Detail   string      `json:"detail"`
	Instance string      `json:"instance"`
	Errors   []violation `json:"errors,omitzero"`
	// The order as it is, if that is the problem.
	OrderStatus  string `json:"order_status,omitzero"`
	OrderVersion int    `json:"order_version,omitzero"`
}

// A violation is a rule that a request breaks, and the place: a JSON pointer into the body (RFC 6901,
// empty for the whole body), a query parameter, or a header. A malformed query has no place.
type violation struct {
	Pointer   *string `json:"pointer,omitzero"`
	Parameter string  `json:"parameter,omitzero"`
	Header    string  `json:"header,omitzero"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

// violations is the error of an invalid request: all its violations, in the order of the request.
type violations []violation

func (v violations) Error() string {
	codes := make([]string, len(v))
	for i := range v {
		codes[i] = v[i].Code
	}
	return "bad input: " + strings.Join(codes, ", ")
}

// A methodError means that the path does not have the method.
type methodError struct{ allow string }

func (e *methodError) Error() string { return "method not allowed, only " + e.allow }

// ErrUndecodable is for hosts that get a body in base64, like Lambda. If they cannot decode it, the
// Body of the request returns this error, and the response is a 400.
var ErrUndecodable = errors.New("the body could not be decoded")

// ErrMisdirected is for hosts that get a request for another service. With NewRefusing the response
// is a 421.
var ErrMisdirected = errors.New("the Host header names another service than this one; --trusted-host adds a name")

// WriteProblem writes the response for err, for hosts that cannot call the handler: a 500, or the
// problem of an error of package order. The request id must have 1 to 100 visible ASCII characters.
func WriteProblem(w http.ResponseWriter, requestID string, err error) {
	newProblemResponse(err, requestID, "").write(w, "", requestID)
}

// Errors with a problem of their own. The texts are sent to clients.
var (
	errNoRoute       = errors.New("there is nothing at this path")
	errNotAcceptable = errors.New("answers are application/json, which the Accept header excludes")
	errTooLarge      = errors.New("the body must have at most 65536 bytes")
	errMediaType     = errors.New("the body must be application/json in UTF-8, and Content-Type say so once")
	errBodyLost      = errors.New("the body could not be read to its end")
	errEncoding      = errors.New("the body must not have a Content-Encoding")
)

// errorProblems maps errors to problems. The text of the error is the detail: the part of a wrapped
// error that does not reveal anything internal.
var errorProblems = []struct {
	err    error
	status int
	code   string
	header []headerField
}{
	{order.ErrNotFound, http.StatusNotFound, "order_not_found", nil},
	{order.ErrKeyReused, http.StatusUnprocessableEntity, "idempotency_key_reused", nil},
	{order.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", retryAfter},
	{errNoRoute, http.StatusNotFound, "no_such_route", nil},
	{errNotAcceptable, http.StatusNotAcceptable, "not_acceptable", nil},
	{errTooLarge, http.StatusRequestEntityTooLarge, "body_too_large", []headerField{{"Connection", "close"}}},
	{errMediaType, http.StatusUnsupportedMediaType, "unsupported_media_type", nil},
	{errBodyLost, http.StatusRequestTimeout, "body_lost", []headerField{{"Connection", "close"}}},
	{ErrMisdirected, http.StatusMisdirectedRequest, "misdirected_request", nil},
	{errEncoding, http.StatusUnsupportedMediaType, "unsupported_encoding", nil},
}

var retryAfter = []headerField{{"Retry-After", "1"}} // in seconds

// newProblemResponse returns the response for an error. An error that classify does not know is a
// bug: the client gets a 500 without details.
func newProblemResponse(err error, requestID string, about order.ID) response {
	p, header := classify(err)
	p.Type = "urn:orders:problem:" + p.Code
	p.Title = http.StatusText(p.Status)
	p.Instance = "urn:orders:request:" + url.PathEscape(requestID)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers can always be encoded
	}
	return response{status: p.Status, header: header, problem: true, body: body, orderID: about}
}

func classify(err error) (problem, []headerField) {
	if errors.Is(err, ErrUndecodable) {
		err = violations{bodyViolation("invalid_encoding", "is not the base64 that it was announced to be")}
	}
	if all, ok := errors.AsType[violations](err); ok {
		return problem{
			Status: http.StatusBadRequest, Code: all[0].Code, Errors: all,
			Detail: "The request breaks the rules listed in errors; nothing was stored.",
		}, nil
	}
	if method, ok := errors.AsType[*methodError](err); ok {
		return problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: method.Error()},
			[]headerField{{"Allow", method.allow}}
	}
	if conflict, ok := errors.AsType[*order.ConflictError](err); ok {
		return problem{
			Status: http.StatusConflict, Code: "conflict", Detail: conflict.Error(),
			OrderStatus: conflict.Status.String(), OrderVersion: conflict.Version,
		}, nil
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = order.ErrUnavailable // the same to the client
	}
	for _, k := range errorProblems {
		if errors.Is(err, k.err) {
			return problem{Status: k.status, Code: k.code, Detail: k.err.Error()}, k.header
		}
	}
	return problem{
		Status: http.StatusInternalServerError, Code: "internal",
		Detail: "The request failed for a reason that is ours, not yours.",
	}, nil
}
