package conformance

import (
	"net/http"
	"strings"
)

// transportRejections are 1 to 14, but for those that a host answers by itself.
func transportRejections() []rejection {
	twoTypes := post(good)
	twoTypes.header["Content-Type"] = []string{"application/json", "text/plain"}
	tooLarge := strings.Repeat(" ", 64<<10) + good
	chunked := post(tooLarge)
	chunked.unknownLength = true

	list := rows("1", postBody, 400, codes("empty_body"), "", " \r\n\t ")
	list = append(list, rows("2", func(mediaType string) request { return post(good, "Content-Type", mediaType) },
		415, codes("unsupported_media_type"),
		"", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/problem+json", "application/json;;", "json",
		"application/json; charset=utf-16", "application/json, text/plain")...)
	list = append(list, rows("6", func(encoding string) request { return post(good, "Content-Encoding", encoding) },
		415, codes("unsupported_encoding"), "gzip", "br", "deflate", "gzip, identity")...)
	list = append(list, rows("7", func(accept string) request { return post(good, "Accept", accept) },
		406, codes("not_acceptable"),
		"text/html", "text/*", "application/xml, text/html;q=0.9", "application/json;q=0", "*/*, application/json;q=0")...)
	list = append(list, rows("11", func(method string) request {
		return request{method: method, target: "/api/orders/create/"}
	}, 405, codes("method_not_allowed"), "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")...)
	list = append(list, rows("11", func(target string) request {
		return request{method: http.MethodPost, target: target}
	}, 405, codes("method_not_allowed"),
		"/api/orders/ids/", "/api/orders/ids", "/api/metrics/", "/api/orders/x/status/", "/api/orders/x/")...)
	list = append(list, rows("13", get, 404, codes("no_such_route"),
		"/", "/api", "/api/", "/api/order/", "/api/orders/x/y/", "/api/orders/create/x/", "/api/metrics/x", "/favicon.ico", "/api/%zz"[:5]+"q")...)
	list = append(list, rows("14", get, 404, codes("no_such_route"),
		"/api/orders/../../", "//", "/../../etc/passwd", "/api/orders/./x/y")...)
	return append(list,
		rejection{"5: two types", twoTypes, 415, codes("unsupported_media_type")},
		rejection{"8: a byte too many", post(tooLarge), 413, codes("body_too_large")},
		rejection{"8: too large, in chunks", chunked, 413, codes("body_too_large")},
	)
}
