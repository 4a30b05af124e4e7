package lambdahttp

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"orders/shared/api"
)

// convertible is an event that the adapter converts without an error and
// without guessing: it reads the address as a URL, and refuses bad base64. Headers
// and body are set after it, see New.
func convertible(e events.APIGatewayV2HTTPRequest) events.APIGatewayV2HTTPRequest {
	if path, ok := routePath(e); ok {
		// SAM's local API takes the route without a slash for a path that ends in one. The answer
		// may hold a reference that a client resolves against the path as it was sent. (Where a
		// parameter ends the path, the slash may be an escaped one of its value.)
		if strings.HasSuffix(e.RawPath, "/") && !strings.HasSuffix(path, "/") && !strings.Contains(e.RouteKey, "{") {
			path += "/"
		}
		e.RawPath = path
	} else {
		e.RawPath = escapedPath(e.RawPath)
	}
	e.RawQueryString = escapedQuery(e.RawQueryString)
	e.QueryStringParameters = nil // the same, cut and joined
	e.Headers, e.Cookies = nil, nil
	e.Body, e.IsBase64Encoded = "", false
	e.RequestContext.DomainName = "" // nothing here depends on it
	if !token(e.RequestContext.HTTP.Method) {
		e.RequestContext.HTTP.Method = "INVALID"
	}
	return e
}

// routePath is the path of the route that API Gateway has chosen, with its
// parameters; ok is false when the event does not tell. The raw path may be of
// another route, because it is unescaped (see escapedPath): /api/orders/ids%2F comes to
// the function behind /api/orders/{order_id}, which is not permitted to list ids. For
// the same reason the greedy {proxy+}, which takes the slash at the end of a path, is one
// segment, whatever it holds.
func routePath(e events.APIGatewayV2HTTPRequest) (path string, ok bool) {
	_, route, ok := strings.Cut(e.RouteKey, " ") // "ANY /api/orders/{order_id}", or "$default"
	segments := strings.Split(route, "/")
	for i, segment := range segments {
		if name, isParameter := strings.CutPrefix(segment, "{"); isParameter {
			name, greedy := strings.CutSuffix(strings.TrimSuffix(name, "}"), "+")
			value, given := e.PathParameters[name]
			segments[i] = strings.ReplaceAll(url.PathEscape(value), ".", "%2E") // or ".." would lead elsewhere
			ok = ok && (given || greedy)
		}
	}
	return strings.Join(segments, "/"), ok
}

// escapedPath is a raw path as it stands in a URL. What API Gateway's documentation
// does not say: an HTTP API, and SAM's local one, unescapes the path before handing
// it over, whereas a function URL leaves it as it came. So a path that is a good
// escaped one stays as it is, and in any other, what a URL does not allow is
// escaped: a bare percent sign, a question mark, a space, NUL, CR and LF.
func escapedPath(raw string) string {
	if !strings.HasPrefix(raw, "/") {
		raw = "/" + raw
	}
	u := url.URL{Path: raw}
	if path, err := url.PathUnescape(raw); err == nil {
		u = url.URL{Path: path, RawPath: raw}
	}
	return u.EscapedPath()
}

// escapedQuery escapes what would end the query, or the conversion. API Gateway
// hands the query over as it came.
func escapedQuery(raw string) string {
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

// headerOf returns the headers as API Gateway gives them: two of a name are one,
// joined by a comma. (The adapter would cut them at every comma, also one that the
// client has written.) A request without an id gets API Gateway's, so that the
// access log and ours name it alike.
func headerOf(e events.APIGatewayV2HTTPRequest) http.Header {
	header := http.Header{}
	for name, value := range e.Headers {
		header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	if _, brought := header["X-Request-Id"]; !brought && e.RequestContext.RequestID != "" {
		header.Set("X-Request-Id", e.RequestContext.RequestID)
	}
	return header
}

// bodyOf returns the body. API Gateway encodes one in base64 unless its media type
// says that it is text.
func bodyOf(e events.APIGatewayV2HTTPRequest) (body, error) {
	if !e.IsBase64Encoded {
		return body{strings.NewReader(e.Body)}, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(e.Body)
	return body{strings.NewReader(string(decoded))}, err
}

// A body is all there from the beginning.
type body struct{ *strings.Reader }

func (body) Close() error { return nil }

// undecodable is a body that could not be decoded.
type undecodable struct{ err error }

func (u undecodable) Read([]byte) (int, error) {
	return 0, fmt.Errorf("%w: %w", api.ErrUndecodable, u.err)
}
func (u undecodable) Close() error { return nil }

// token reports whether a method can be one (RFC 9110, section 5.6.2).
func token(method string) bool {
	for i := range len(method) {
		c := method[i]
		letterOrDigit := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return method != ""
}
