package api

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"orders/shared/order"
)

// checkBodyType reports whether the headers announce what create reads:
// JSON in UTF-8 (RFC 8259), as it is.
func checkBodyType(h http.Header) error {
	for _, encoding := range h["Content-Encoding"] {
		if !strings.EqualFold(encoding, "identity") {
			return errEncoding
		}
	}
	types := h["Content-Type"]
	if len(types) != 1 {
		return errMediaType
	}
	if types[0] == "application/json" {
		return nil
	}
	media, parameters, err := mime.ParseMediaType(types[0])
	charset, hasCharset := parameters["charset"]
	if err != nil || media != "application/json" || hasCharset && !isUTF8(charset) {
		return errMediaType
	}
	return nil
}

// isUTF8 reports whether a charset is UTF-8, which many clients spell without the hyphen.
func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// accepts reports whether an Accept header (RFC 9110, section 12.5.1) leaves room
// for JSON: the most specific range that covers it has a weight above 0. A header
// that cannot be read excludes nothing.
func accepts(values []string) bool {
	header := strings.Join(values, ",")
	if strings.Trim(header, " ,") == "" || header == "*/*" {
		return true
	}
	specificity, accepted := 0, false
	for text := range strings.SplitSeq(header, ",") {
		media, parameters, err := mime.ParseMediaType(text)
		if err != nil && strings.TrimSpace(text) != "" {
			return true
		}
		if n := covering[media]; n > specificity {
			weight, err := strconv.ParseFloat(parameters["q"], 64)
			specificity, accepted = n, err != nil || weight > 0
		}
	}
	return accepted
}

// covering ranks the media ranges that cover application/json.
var covering = map[string]int{"*/*": 1, "application/*": 2, "application/json": 3}

// idempotencyKey returns the id that the Idempotency-Key header names, "" without
// one. The key may be quoted; a comma, which would join two headers, is not part of any.
func idempotencyKey(h http.Header) (order.ID, *fault) {
	values := h["Idempotency-Key"]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(key) >= 2 && key[0] == '"' && key[len(key)-1] == '"' {
		key = key[1 : len(key)-1]
	}
	if len(values) > 1 || !visibleASCII(key, 255) || strings.Contains(key, ",") {
		return "", &fault{
			Header: "Idempotency-Key", Code: "invalid_idempotency_key",
			Detail: "must be given once and have 1 to 255 visible ASCII characters, none of them a comma",
		}
	}
	const caller = "" // there is no authorizer that would tell one from another
	return order.KeyedID(caller, key), nil
}

// visibleASCII reports whether s has 1 to limit visible ASCII characters and no others.
func visibleASCII(s string, limit int) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return 0 < len(s) && len(s) <= limit
}

// knownMethod keeps what a client may put for a method out of the log.
func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	default:
		return "other"
	}
}
