package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pb33f/go-yaml"
	"github.com/pb33f/jsonschema/v6"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	contracterrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/router"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	"orders/shared/api"
)

// An exchange is a request and its response, whose bodies have been read.
type exchange struct {
	req          *http.Request
	requestBody  []byte
	res          *http.Response
	responseBody []byte
}

// A contract is openapi.yaml, ready to check exchanges.
type contract struct {
	model     *v3.Document
	routes    router.Router
	validator validator.Validator           // of all but the bodies of requests
	bodies    map[string]*jsonschema.Schema // of those bodies, by reference
	options   *config.ValidationOptions
}

var loadedContract = sync.OnceValue(func() *contract {
	document, err := libopenapi.NewDocument(api.OpenAPI)
	if err != nil {
		panic(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		panic(err)
	}
	c := &contract{
		model:  &model.Model,
		routes: router.NewRouter(&model.Model, router.WithPathOnlyMatching()),
		validator: validator.NewValidatorFromV3Model(&model.Model,
			config.WithFormatAssertions(), config.WithRegexEngine(compilePattern), config.WithoutRequestBodyValidation()),
		options: config.NewValidationOptions(config.WithFormatAssertions(), config.WithRegexEngine(compilePattern)),
	}
	c.validator.SetDocument(document)
	c.bodies, err = compileBodies(c.model)
	if err != nil {
		panic(err)
	}
	return c
})

// compileBodies compiles the schemas of the bodies of requests. The service accepts more than it tells
// clients to send: x-also-accepted is an alternative to the schema that has it.
func compileBodies(model *v3.Document) (map[string]*jsonschema.Schema, error) {
	var document any
	if err := yaml.Unmarshal(api.OpenAPI, &document); err != nil {
		return nil, err
	}
	const name = "openapi.yaml"
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft4) // which OpenAPI 3.0 is based on
	compiler.UseRegexpEngine(compilePattern)
	if err := compiler.AddResource(name, widened(document)); err != nil {
		return nil, err
	}
	bodies := map[string]*jsonschema.Schema{}
	for _, body := range model.Components.RequestBodies.FromOldest() {
		reference := body.Content.GetOrZero("application/json").Schema.GetReference()
		compiled, err := compiler.Compile(name + reference)
		if err != nil {
			return nil, err
		}
		bodies[reference] = compiled
	}
	return bodies, nil
}

// widened makes every x-also-accepted in a part of the contract an alternative.
func widened(part any) any {
	switch part := part.(type) {
	case []any:
		for i := range part {
			part[i] = widened(part[i])
		}
	case map[string]any:
		for key, value := range part {
			part[key] = widened(value)
		}
		if alternative, ok := part["x-also-accepted"]; ok {
			delete(part, "x-also-accepted")
			return map[string]any{"anyOf": []any{part, alternative}}
		}
	}
	return part
}

// A pattern is a compiled pattern of the contract.
type pattern struct{ *regexp.Regexp }

// compilePattern compiles a pattern in the dialect of JavaScript. The contract's patterns differ
// from Go's in one escape.
func compilePattern(javaScript string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(unicodeEscape.ReplaceAllString(javaScript, `\x{$1}`))
	return pattern{compiled}, err
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9a-f]{4})`)

// schema returns the schema of that name.
func (c *contract) schema(name string) *base.Schema {
	return c.model.Components.Schemas.GetOrZero(name).Schema()
}

// compile compiles a schema. Unlike those of the validator, it does not round numbers.
func (c *contract) compile(schema *base.Schema) (*jsonschema.Schema, error) {
	compiled, err := schema_validation.CompileSchemaForValidation(
		schema, schema_validation.SchemaValidationPurposeGeneric, c.options, 3.0)
	if err != nil {
		return nil, err
	}
	return compiled.CompiledSchema, nil
}

// violations lists how an exchange breaks the contract, in both directions:
//
//   - the response has a status, headers, a type and a body of the contract;
//   - the contract allows a request that was not refused;
//   - the contract forbids a request that was refused with 400, but for the rules that a
//     schema cannot express (see beyondSchema).
//
// A trailing slash may be missing from a path, and slashes may be doubled. The response to a path
// that the contract does not have is that to an unknown order, and the response to a method that
// the path does not have is 405.
func (c *contract) violations(e exchange) []string {
	r := &http.Request{Method: e.req.Method, URL: contractURL(e.req.URL), Header: e.req.Header}
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	route, err := c.routes.FindRoute(r)
	switch {
	case errors.Is(err, router.ErrPathNotFound):
		return c.unknown(http.StatusNotFound, c.model.Paths.PathItems.GetOrZero("/api/orders/{order_id}/"), e)
	case errors.Is(err, router.ErrMethodNotAllowed):
		return c.unknown(http.StatusMethodNotAllowed, route.PathItem, e)
	case err != nil:
		return []string{err.Error()}
	case e.res.StatusCode == http.StatusMethodNotAllowed:
		return []string{"the path has the method"}
	}
	return append(c.requestViolations(r, route, e), c.responseViolations(route.Operation, e)...)
}

// unknown lists how the response to a request that the contract does not have is wrong. It must
// have that status, which all operations of the path describe.
func (c *contract) unknown(status int, described *v3.PathItem, e exchange) []string {
	if e.res.StatusCode != status {
		return []string{fmt.Sprintf("the contract has no such request: the response must be %d", status)}
	}
	return c.responseViolations(described.GetOperations().First().Value(), e)
}

// contractURL spells a URL's path as the contract does.
func contractURL(u *url.URL) *url.URL {
	spelled := path.Clean("/" + u.EscapedPath())
	if strings.HasPrefix(spelled, "/api/") {
		spelled += "/"
	}
	unescaped, err := url.PathUnescape(spelled)
	if err != nil {
		unescaped = spelled
	}
	return &url.URL{Path: unescaped, RawPath: spelled, RawQuery: u.RawQuery}
}

// httpHeaders belong to HTTP itself, or the contract states them elsewhere.
var httpHeaders = []string{"Connection", "Content-Length", "Content-Type", "Date"}

// responseViolations compares a response with those that the operation describes.
func (c *contract) responseViolations(operation *v3.Operation, e exchange) []string {
	asked := &http.Request{Method: http.MethodGet, URL: e.req.URL}
	if e.req.Method == http.MethodHead {
		asked.Method = http.MethodHead
	}
	response := &http.Response{StatusCode: e.res.StatusCode, Header: e.res.Header, Body: http.NoBody}
	if len(e.responseBody) > 0 {
		response.Body = io.NopCloser(bytes.NewReader(e.responseBody))
	}
	_, broken := c.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(
		asked, response, &v3.PathItem{Get: operation}, e.req.URL.Path)
	violations := texts(broken)
	described := operation.Responses.Codes.GetOrZero(strconv.Itoa(response.StatusCode))
	if described == nil {
		return violations
	}
	if _, listed := described.Content.Get(response.Header.Get("Content-Type")); !listed {
		violations = append(violations, "Content-Type is not one that the contract lists")
	}
	for name, values := range response.Header {
		_, declared := described.Headers.Get(name)
		if !declared && !slices.Contains(httpHeaders, name) || len(values) != 1 {
			violations = append(violations, fmt.Sprintf("the header %s: %q is not in the contract, or not once", name, values))
		}
	}
	return violations
}

// texts formats each finding of the validator in a line.
func texts(broken []*contracterrors.ValidationError) []string {
	lines := make([]string, len(broken))
	for i, b := range broken {
		lines[i] = b.Message + ": " + b.Reason
		for _, failure := range b.SchemaValidationErrors {
			lines[i] += fmt.Sprintf("; %s: %s", failure.FieldPath, failure.Reason)
		}
	}
	return lines
}

// beyondSchema lists the codes whose rules the contract states in words only, because JSON Schema
// describes values and not how they are written.
var beyondSchema = []string{
	"incomplete_body", "invalid_json", "invalid_utf8", "duplicate_field", // how JSON is written
	"invalid_characters",                               // which characters are visible
	"invalid_limit", "invalid_cursor", "invalid_query", // given twice, badly escaped, or invented
	"invalid_idempotency_key", // empty, or given twice
}

// otherSpelling matches numbers that the contract allows in another spelling: 1e3 for the integer
// of an id or a version, -0 for an amount.
var otherSpelling = regexp.MustCompile(`[0-9][eE]|-0`)

// spellingCodes are the codes for such numbers.
var spellingCodes = []string{"wrong_type", "out_of_range", "invalid_version"}

// requestViolations compares the decision of the service about a request with the contract's.
func (c *contract) requestViolations(r *http.Request, route *router.Route, e exchange) []string {
	status := e.res.StatusCode
	if 400 < status && status < 500 {
		return nil // a wrong path, method, size or encoding
	}
	codes := violationCodes(e.responseBody)
	if status == http.StatusBadRequest && slices.ContainsFunc(codes, func(code string) bool {
		return slices.Contains(beyondSchema, code) ||
			slices.Contains(spellingCodes, code) && otherSpelling.Match(e.requestBody)
	}) {
		return nil
	}
	forbidden := c.forbids(r, route, e.requestBody)
	switch {
	case status == http.StatusBadRequest && len(forbidden) == 0:
		return []string{fmt.Sprintf("it refuses with %q what the contract allows", codes)}
	case status != http.StatusBadRequest && len(forbidden) > 0:
		return []string{"it does not refuse what the contract forbids: " + strings.Join(forbidden, "; ")}
	default:
		return nil
	}
}

// forbids lists why the contract forbids a request.
func (c *contract) forbids(r *http.Request, route *router.Route, body []byte) []string {
	_, broken := c.validator.ValidateHttpRequestSyncWithPathItem(r, route.PathItem, route.Path)
	reasons := texts(broken)
	described := route.Operation.RequestBody
	if described == nil || len(bytes.TrimSpace(body)) == 0 && (described.Required == nil || !*described.Required) {
		return reasons
	}
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if _, listed := described.Content.Get(mediaType); !listed {
		reasons = append(reasons, "Content-Type is not one of the contract's")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = c.bodies[described.Content.GetOrZero("application/json").Schema.GetReference()].Validate(value)
	}
	if err != nil {
		reasons = append(reasons, err.Error())
	}
	return reasons
}

// violationCodes are the codes in the errors of a problem, none for another body.
func violationCodes(body []byte) []string {
	var problem struct {
		Errors []struct{ Code string }
	}
	_ = json.Unmarshal(body, &problem) // responseViolations checks other bodies
	codes := make([]string, len(problem.Errors))
	for i, e := range problem.Errors {
		codes[i] = e.Code
	}
	return codes
}
