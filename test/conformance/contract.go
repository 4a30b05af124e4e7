package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

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

// checkContract holds one exchange to openapi.yaml, in both directions:
//
//   - the answer's status, headers, type and body are as the contract says;
//   - what was not refused is a request that the contract allows;
//   - what was refused with 400 is a request that the contract forbids, but for the
//     rules that a schema cannot express (see beyondSchema).
//
// A path with or without its slash, or with superfluous ones, is the path that it
// means. A path that the contract does not have must be answered like an unknown
// order, and a method that the path does not have with 405.
func checkContract(t testing.TB, req *http.Request, requestBody []byte, res *http.Response, responseBody []byte) {
	t.Helper()
	e := exchange{req, requestBody, res, responseBody}
	for _, violation := range loadedContract().violations(e) {
		t.Errorf("%s %s, answered %d, breaks the contract: %s\nrequest body: %.1000q\nanswer: %.1000q",
			req.Method, req.URL.EscapedPath(), res.StatusCode, violation, requestBody, responseBody)
	}
}

// An exchange is a request and its answer. The bodies are apart, because those of
// the two have been read.
type exchange struct {
	req          *http.Request
	requestBody  []byte
	res          *http.Response
	responseBody []byte
}

// A contract is openapi.yaml, ready for exchanges to be held to it.
type contract struct {
	model     *v3.Document
	routes    router.Router
	validator validator.Validator // of all but the bodies of requests
	draft     *jsonschema.Schema  // of those bodies
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
	c.draft, err = compileDraft()
	if err != nil {
		panic(err)
	}
	return c
})

// compileDraft makes the schema of the body of a create ready to validate values. It is
// what the service accepts, which is more than clients are told to send: where a schema
// has x-also-accepted, that is the alternative to it.
func compileDraft() (*jsonschema.Schema, error) {
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
	return compiler.Compile(name + "#/components/schemas/OrderDraft")
}

// widened is a part of the contract with every x-also-accepted made an alternative.
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

// compilePattern reads a pattern, which is in the dialect of JavaScript. Of what the
// contract uses, Go's differs in one escape.
func compilePattern(javaScript string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(unicodeEscape.ReplaceAllString(javaScript, `\x{$1}`))
	return pattern{compiled}, err
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9a-f]{4})`)

// schema is the contract's schema of that name.
func (c *contract) schema(name string) *base.Schema {
	return c.model.Components.Schemas.GetOrZero(name).Schema()
}

// compile makes a schema ready to validate values. Unlike the validator's own way
// it takes numbers as they are written, and does not round them.
func (c *contract) compile(schema *base.Schema) (*jsonschema.Schema, error) {
	compiled, err := schema_validation.CompileSchemaForValidation(
		schema, schema_validation.SchemaValidationPurposeGeneric, c.options, 3.0)
	if err != nil {
		return nil, err
	}
	return compiled.CompiledSchema, nil
}

// violations lists how an exchange breaks the contract.
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

// unknown lists what is wrong with the answer to a request that the contract does
// not have. It must have that status, which all operations of the path describe.
func (c *contract) unknown(status int, described *v3.PathItem, e exchange) []string {
	if e.res.StatusCode != status {
		return []string{fmt.Sprintf("there is no such request, which makes it a %d", status)}
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

// httpHeaders are HTTP's own, or told by the contract in another way.
var httpHeaders = []string{"Connection", "Content-Length", "Content-Type", "Date"}

// responseViolations compares an answer with those that the operation describes.
func (c *contract) responseViolations(operation *v3.Operation, e exchange) []string {
	asked := &http.Request{Method: http.MethodGet, URL: e.req.URL}
	if e.req.Method == http.MethodHead {
		asked.Method = http.MethodHead
	}
	answer := &http.Response{StatusCode: e.res.StatusCode, Header: e.res.Header, Body: http.NoBody}
	if len(e.responseBody) > 0 {
		answer.Body = io.NopCloser(bytes.NewReader(e.responseBody))
	}
	_, broken := c.validator.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(
		asked, answer, &v3.PathItem{Get: operation}, e.req.URL.Path)
	violations := texts(broken)
	described := operation.Responses.Codes.GetOrZero(strconv.Itoa(answer.StatusCode))
	if described == nil {
		return violations
	}
	if _, listed := described.Content.Get(answer.Header.Get("Content-Type")); !listed {
		violations = append(violations, "Content-Type is not one that the contract lists")
	}
	for name, values := range answer.Header {
		_, declared := described.Headers.Get(name)
		if !declared && !slices.Contains(httpHeaders, name) || len(values) != 1 {
			violations = append(violations, fmt.Sprintf("the header %s: %q is not in the contract, or not once", name, values))
		}
	}
	return violations
}

// texts are the findings of the validator in a line each.
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
