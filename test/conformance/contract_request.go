package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi-validator/router"
)

// beyondSchema lists the faults that the contract tells in words only, because
// JSON Schema speaks of values and not of how they come.
var beyondSchema = []string{
	"incomplete_body", "invalid_json", "invalid_utf8", "duplicate_field", // how a document is written
	"invalid_characters",                               // which characters can be seen
	"invalid_limit", "invalid_cursor", "invalid_query", // given twice, escaped badly, or made up
	"invalid_idempotency_key", // empty, or given twice
}

// spelledOtherwise finds numbers whose values the contract allows, but not their
// spelling: 1e3 for the integer of an id, -0 for an amount.
var spelledOtherwise = regexp.MustCompile(`[0-9][eE]|-0`)

// spellingFaults are what such numbers are answered with.
var spellingFaults = []string{"wrong_type", "out_of_range"}

// requestViolations compares what the service made of a request with what the
// contract says of it.
func (c *contract) requestViolations(r *http.Request, route *router.Route, e exchange) []string {
	status := e.res.StatusCode
	if 400 < status && status < 500 {
		return nil // it came too late, too large, in a wrong wrapping, or to a wrong address
	}
	codes := faultCodes(e.responseBody)
	if status == http.StatusBadRequest && slices.ContainsFunc(codes, func(code string) bool {
		return slices.Contains(beyondSchema, code) ||
			slices.Contains(spellingFaults, code) && spelledOtherwise.Match(e.requestBody)
	}) {
		return nil
	}
	forbidden := c.requestFaults(r, route, e.requestBody)
	switch {
	case status == http.StatusBadRequest && len(forbidden) == 0:
		return []string{fmt.Sprintf("it refuses with %q what the contract allows", codes)}
	case status != http.StatusBadRequest && len(forbidden) > 0:
		return []string{"it does not refuse what the contract forbids: " + strings.Join(forbidden, "; ")}
	default:
		return nil
	}
}

// requestFaults lists why the contract forbids a request.
func (c *contract) requestFaults(r *http.Request, route *router.Route, body []byte) []string {
	_, broken := c.validator.ValidateHttpRequestSyncWithPathItem(r, route.PathItem, route.Path)
	faults := texts(broken)
	if route.Operation.RequestBody == nil {
		return faults
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if _, listed := route.Operation.RequestBody.Content.Get(mediaType); !listed {
		faults = append(faults, "Content-Type is not one of the contract's")
	}
	order, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = c.draft.Validate(order)
	}
	if err != nil {
		faults = append(faults, err.Error())
	}
	return faults
}

// faultCodes are the codes in the errors of a problem, none when it is no problem.
func faultCodes(body []byte) []string {
	var problem struct {
		Errors []struct{ Code string }
	}
	_ = json.Unmarshal(body, &problem) // what else it may be is checked as a response
	codes := make([]string, len(problem.Errors))
	for i, fault := range problem.Errors {
		codes[i] = fault.Code
	}
	return codes
}
