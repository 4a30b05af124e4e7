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

// A problem is an answer that says what is wrong, as RFC 9457 has it. Code is
// its stable name; of several faults, that of the first.
type problem struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Code     string  `json:"code"`
	Detail   string  `json:"detail"`
	Instance string  `json:"instance"`
	Errors   []fault `json:"errors,omitzero"`
}

// A fault is one thing that is wrong with a request, and where: in the body
// (an RFC 6901 pointer, empty for the whole), a query parameter or a header. A query
// that cannot be read at all has none of them.
type fault struct {
	Pointer   *string `json:"pointer,omitzero"`
	Parameter string  `json:"parameter,omitzero"`
	Header    string  `json:"header,omitzero"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

// faults is the error of a request that breaks rules: all of them, in the order
// of the request.
type faults []fault

func (f faults) Error() string {
	codes := make([]string, len(f))
	for i := range f {
		codes[i] = f[i].Code
	}
	return "bad input: " + strings.Join(codes, ", ")
}

// A methodError is a method that the path does not have.
type methodError struct{ allow string }

func (e *methodError) Error() string { return "method not allowed, only " + e.allow }

// ErrUndecodable is for the Body of a request to return when the host that hands
// the request over has been given the body in an encoding, and could not decode it.
// The request is answered with 400.
var ErrUndecodable = errors.New("the body could not be decoded")

// ErrMisdirected is for a host to have requests refused with that are meant for another service,
// see NewRefusing. They are answered with 421.
var ErrMisdirected = errors.New("the Host header names another service than this one; --trusted-host adds a name")

// WriteProblem answers a request in the handler's place, for a host that has to:
// with 500, and with other problems for the errors of package order. The request
// id has 1 to 100 visible ASCII characters.
func WriteProblem(w http.ResponseWriter, requestID string, err error) {
	problemOf(err, requestID, "").write(w, "", requestID)
}

// Errors that are an answer by themselves.
var (
	errNoRoute       = errors.New("there is nothing at this path")
	errNotAcceptable = errors.New("answers are application/json, which the Accept header excludes")
	errTooLarge      = errors.New("the body must have at most 65536 bytes")
	errMediaType     = errors.New("the body must be application/json in UTF-8, and Content-Type say so once")
	errBodyLost      = errors.New("the body could not be read to its end")
	errEncoding      = errors.New("the body must not have a Content-Encoding")
)

// kinds says, for each error that has an answer of its own, which one. The text
// of the error is the detail: it tells the client nothing that it cannot know.
var kinds = []struct {
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

// retryAfter is in seconds.
var retryAfter = []headerField{{"Retry-After", "1"}}

// problemOf is the answer to a request that failed. What is not in the tables
// is our fault, and the client learns no more than that.
func problemOf(err error, requestID string, about order.ID) response {
	p, header := classify(err)
	p.Type = "urn:orders:problem:" + p.Code
	p.Title = http.StatusText(p.Status)
	p.Instance = "urn:orders:request:" + url.PathEscape(requestID)
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // texts and numbers always have a JSON form
	}
	return response{status: p.Status, header: header, problem: true, body: body, orderID: about}
}

func classify(err error) (problem, []headerField) {
	if errors.Is(err, ErrUndecodable) {
		err = faults{bodyFault("invalid_encoding", "is not the base64 that it was announced to be")}
	}
	if all, ok := errors.AsType[faults](err); ok {
		return problem{
			Status: http.StatusBadRequest, Code: all[0].Code, Errors: all,
			Detail: "The request breaks the rules listed in errors; nothing was stored.",
		}, nil
	}
	if method, ok := errors.AsType[*methodError](err); ok {
		return problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: method.Error()},
			[]headerField{{"Allow", method.allow}}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		err = order.ErrUnavailable // to the client it is the same
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			return problem{Status: k.status, Code: k.code, Detail: k.err.Error()}, k.header
		}
	}
	return problem{
		Status: http.StatusInternalServerError, Code: "internal",
		Detail: "The request failed for a reason that is ours, not yours.",
	}, nil
}
