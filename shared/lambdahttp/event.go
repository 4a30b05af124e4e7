package lambdahttp

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/api"
)

// sanitizeEvent returns an event that the adapter converts without an error and without guessing.
// The adapter parses path, query and domain name as a URL, and fails on invalid base64. New sets
// headers and body after the conversion.
func sanitizeEvent(e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	if path, ok := routePath(e); ok {
		e.RawPath = path
	} else {
		e.RawPath = escapePath(e.RawPath)
	}
	e.RawQueryString = escapeQuery(e.RawQueryString)
	e.QueryStringParameters = nil // the same, cut and joined
	e.Headers, e.Cookies = nil, nil
	e.Body, e.IsBase64Encoded = "", false
	e.RequestContext.DomainName = "" // the handler does not depend on it
	if !isToken(e.RequestContext.HTTP.Method) {
		e.RequestContext.HTTP.Method = "INVALID"
	}
	return e
}

// routePath returns the path of the route that API Gateway has chosen, with its parameters; ok is
// false when the event has no such route. The raw path may lead elsewhere: it is unescaped (see
// escapePath), so that /api/orders/ids%2F looks like the list, and it begins with the base path of a
// custom domain.
func routePath(e events.APIGatewayV2HTTPRequest) (path string, ok bool) {
	_, route, ok := strings.Cut(e.RouteKey, " ") // "ANY /api/orders/{order_id}", or "$default"
	segments := strings.Split(route, "/")
	plain := false // whether the last segment is a parameter that is not greedy
	for i, segment := range segments {
		name, isParameter := strings.CutPrefix(segment, "{")
		name, greedy := strings.CutSuffix(strings.TrimSuffix(name, "}"), "+")
		plain = isParameter && !greedy
		if isParameter {
			value, given := e.PathParameters[name]
			segments[i] = escapeParameter(value, greedy)
			ok = ok && (given || greedy)
		}
	}
	path = strings.Join(segments, "/")
	// SAM's local API uses the route without a slash for a path that ends in one. A response may have
	// a reference relative to the path that the client has sent, so the slash is added again. (Where a
	// parameter ends the path, the slash may be an escaped one of its value.)
	if strings.HasSuffix(e.RawPath, "/") && !strings.HasSuffix(path, "/") && !plain {
		path += "/"
	}
	return path, ok
}

// escapeParameter returns the value of a path parameter as a URL has it. A parameter is one segment;
// only a greedy one has slashes between its segments, and perhaps at both ends. Dots are escaped, or
// ".." would lead elsewhere.
func escapeParameter(value string, greedy bool) string {
	escaped := strings.ReplaceAll(url.PathEscape(value), ".", "%2E")
	if greedy {
		escaped = strings.ReplaceAll(escaped, "%2F", "/")
	}
	return escaped
}

// escapePath returns a raw path as a URL has it. API Gateway's documentation does not say that an
// HTTP API, like SAM's local one, unescapes the path, whereas a function URL leaves it as it came.
// So a valid escaped path stays. In any other path, the characters that a URL does not allow are
// escaped: a percent sign, a question mark, a space, NUL, CR and LF.
func escapePath(raw string) string {
	if !strings.HasPrefix(raw, "/") {
		raw = "/" + raw
	}
	u := url.URL{Path: raw}
	if path, err := url.PathUnescape(raw); err == nil {
		u = url.URL{Path: path, RawPath: raw}
	}
	return u.EscapedPath()
}

// escapeQuery escapes the characters that would end the query or fail the conversion. API Gateway
// does not change the query.
func escapeQuery(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c == '#' || c == 0x7f {
			b.WriteString(url.QueryEscape(raw[i : i+1]))
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// newHeader returns the headers as API Gateway gives them: it joins the values of a name by commas.
// (The adapter would split them at every comma, also at one that the client has written.) A request
// without an id gets API Gateway's, so that the access log and the function's log have the same.
func newHeader(e events.APIGatewayV2HTTPRequest) http.Header {
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	if _, ok := header["X-Request-Id"]; !ok && e.RequestContext.RequestID != "" {
		header.Set("X-Request-Id", e.RequestContext.RequestID)
	}
	return header
}

// newBody returns the body and its length. API Gateway encodes a body in base64 unless its media
// type is a text. Reading a body that cannot be decoded fails.
func newBody(e events.APIGatewayV2HTTPRequest) (body io.ReadCloser, length int64) {
	text := e.Body
	if e.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(e.Body)
		if err != nil {
			return io.NopCloser(errorReader{fmt.Errorf("%w: %w", api.ErrUndecodable, err)}), -1
		}
		text = string(decoded)
	}
	return io.NopCloser(strings.NewReader(text)), int64(len(text))
}

// An errorReader fails with its error.
type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// isToken reports whether a method has the syntax of one (RFC 9110, section 5.6.2).
func isToken(method string) bool {
	for i := range len(method) {
		c := method[i]
		letterOrDigit := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return method != ""
}
