package conformance

import (
	"encoding/json/v2"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"orders/shared/order"
)

// A rejection is a request that must be refused, with the status of the response and the codes of
// all violations.
type rejection struct {
	name   string
	send   request
	status int
	codes  []string
}

// rejectTests makes a test of each table: every request is refused as its row says, and at the end
// nothing is stored (I2).
func rejectTests() (tests []httpTest) {
	for _, table := range []struct {
		name string
		rows []rejection
	}{
		{"transport", transportRejections()},
		{"JSON", jsonRejections()},
		{"values", valueRejections()},
		{"paths and queries", pathRejections()},
		{"idempotency keys", keyRejections()},
	} {
		tests = append(tests, httpTest{"I2 I15 bad input is refused and nothing is stored: " + table.name, func(c *client) {
			for _, r := range table.rows {
				c.reject(r)
			}
			if got := c.metrics(); got != (order.Tally{}) {
				c.Errorf("metrics are %+v", got)
			}
			if ids := c.all(1000); len(ids) > 0 {
				c.Errorf("stored %v", ids)
			}
		}})
	}
	return tests
}

// A refusal is the JSON of a problem.
type refusal struct {
	Type     string      `json:"type"`
	Title    string      `json:"title"`
	Status   int         `json:"status"`
	Code     string      `json:"code"`
	Detail   string      `json:"detail"`
	Instance string      `json:"instance"`
	Errors   []violation `json:"errors"`
}

type violation struct {
	Pointer   *string `json:"pointer"`
	Parameter string  `json:"parameter"`
	Header    string  `json:"header"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

func (c *client) reject(r rejection) {
	c.Helper()
	res := c.do(r.send)
	if res.StatusCode != r.status || res.Header.Get("Content-Type") != "application/problem+json" {
		c.Errorf("%s: %s %s %.300s, not %d", r.name, res.Status, res.Header.Get("Content-Type"), res.body, r.status)
		return
	}
	if r.send.method == http.MethodHead {
		return
	}
	p := decode[refusal](c, res)
	codes := []string{p.Code}
	if len(p.Errors) > 0 {
		codes = nil
		for _, v := range p.Errors {
			codes = append(codes, v.Code)
			c.checkPlace(r, v)
		}
	}
	if !slices.Equal(codes, r.codes) || p.Code != r.codes[0] {
		c.Errorf("%s: codes %v, not %v", r.name, codes, r.codes)
	}
	if p.Status != r.status || p.Type != "urn:orders:problem:"+p.Code || p.Title == "" || p.Detail == "" || p.Instance == "" {
		c.Errorf("%s: problem %+v", r.name, p)
	}
}

// checkPlace checks that a violation names one place, and the rule.
func (c *client) checkPlace(r rejection, v violation) {
	c.Helper()
	places := 0
	for _, named := range []bool{v.Pointer != nil, v.Parameter != "", v.Header != "", v.Code == "invalid_query"} {
		if named {
			places++
		}
	}
	if places != 1 || v.Detail == "" {
		c.Errorf("%s: violation %+v", r.name, v)
	}
}

// good is a valid body.
const good = `{"user_id": 645, "item_ids": [890, 563], "total_amount": 1650.78}`

// withField is the good body with one field set or added. The value is JSON.
func withField(name, value string) string {
	fields := map[string]string{"user_id": "645", "item_ids": "[890, 563]", "total_amount": "1650.78"}
	fields[name] = value
	var b strings.Builder
	for i, n := range slices.Sorted(maps.Keys(fields)) {
		fmt.Fprintf(&b, "%c%q: %s", "{,"[min(i, 1)], n, fields[n])
	}
	return b.String() + "}"
}

// quote is s as a JSON string.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string of valid UTF-8 always has a JSON form
	}
	return string(text)
}

// rows makes a rejection of each input. send makes a request of it.
func rows(number string, send func(string) request, status int, codes []string, inputs ...string) (list []rejection) {
	for _, in := range inputs {
		list = append(list, rejection{fmt.Sprintf("%s: %.60q", number, in), send(in), status, codes})
	}
	return list
}

func codes(c ...string) []string { return c }

func postBody(body string) request { return post(body) }

func field(name string) func(string) request {
	return func(value string) request { return post(withField(name, value)) }
}

// transportRejections are 1 to 14, but for those to which the host itself responds.
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

// jsonRejections are 15 to 24.
func jsonRejections() (list []rejection) {
	add := func(number string, codes []string, bodies ...string) {
		list = append(list, rows(number, postBody, 400, codes, bodies...)...)
	}
	add("15", codes("invalid_json"),
		good[:len(good)-1], good[:10], "{", `{"user_id"`, `{"user_id":`, `{"user_id": 645,}`, `{,}`,
		`{'user_id': 645}`, `{user_id: 645}`, "/* x */ "+good, good+" // x", "\ufeff"+good,
		withField("total_amount", "NaN"), withField("total_amount", "Infinity"), withField("total_amount", "1e400"),
		withField("user_id", "-1e999"), withField("total_amount", "01"), withField("total_amount", "+1"),
		withField("total_amount", ".5"), withField("total_amount", "5."), withField("total_amount", "0x10"),
		withField("user_id", "\"a\nb\""), withField("user_id", `"\x41"`), withField("user_id", `"abc`),
		withField("item_ids", "[1, 2"), withField("item_ids", "[1 2]"), withField("unknown", "[1, "))
	add("16", codes("invalid_json"), good+good, good+"x", good+" {}", good+"\x00", good+"]", "[] []", `"x" 1`)
	add("17", codes("wrong_type"), "null", "[]", `["user_id"]`, `"order"`, "645", "true")
	add("18", codes("duplicate_field"),
		`{"user_id": 645, "user_id": 645, "item_ids": [890], "total_amount": 1}`,
		`{"user_id": 645, "\u0075ser_id": 646, "item_ids": [890], "total_amount": 1}`)
	add("19", codes("unknown_field", "required"), `{"USER_ID": 645, "item_ids": [890], "total_amount": 1}`)
	add("20", codes("unknown_field"),
		withField("unknown", "1"), withField("__proto__", `{"x": 1}`), withField("created_at", `"2026-01-01"`),
		withField("version", "1"), withField("", "1"), withField("a/b~c", "{}"),
		`{"user_id": 645, "item_ids": [890], "total_amount": 1, "id": {"user_id": {}}}`)
	add("21", codes("invalid_json"),
		strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001),
		withField("user_id", strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)))
	add("22", codes("invalid_utf8"),
		withField("user_id", "\"\xff\xfe\""), withField("user_id", "\"\xc0\x80\""), withField("user_id", "\"\xed\xa0\x80\""), "\xff")
	add("22", codes("invalid_json"), withField("user_id", `"\ud800"`), withField("user_id", `"\udc00\ud800"`))
	add("23", codes("wrong_type"),
		withField("user_id", "true"), withField("user_id", "{}"), withField("user_id", "[645]"),
		withField("total_amount", "false"), withField("total_amount", "[1]"), withField("total_amount", `{"$numberDecimal": "1"}`),
		withField("item_ids", `"890"`), withField("item_ids", "890"), withField("item_ids", `{"0": 890}`),
		withField("order_id", "1"), withField("order_id", "null"), withField("order_id", "{}"))
	add("24", codes("required"),
		withField("user_id", "null"), withField("item_ids", "null"), withField("total_amount", "null"),
		`{"item_ids": [890], "total_amount": 1}`, `{"user_id": 645, "total_amount": 1}`, `{"user_id": 645, "item_ids": [890]}`)
	add("24", codes("required", "required", "required"), "{}")
	add("all violations at once", codes("wrong_type", "invalid_length", "wrong_type", "unknown_field", "invalid_status", "precision"),
		`{"user_id": true, "item_ids": ["", null], "x": {"y": [1]}, "status": "no", "total_amount": 0.001}`)
	return list
}

// valueRejections are 26 to 39.
func valueRejections() (list []rejection) {
	add := func(number, name, code string, values ...string) {
		list = append(list, rows(number+" "+name, field(name), 400, codes(code), values...)...)
	}
	long := quote(strings.Repeat("é", 101))
	for _, name := range []string{"user_id", "order_id"} {
		add("26", name, "invalid_length", `""`, long, quote(strings.Repeat("x", 10_000)))
		add("26", name, "invalid_characters", `"  "`, `" x"`, `"x "`, `"\u00a0x"`, `"x\u3000"`)
		add("28", name, "invalid_characters",
			`"a\u0000b"`, `"a\r\nb"`, `"a\tb"`, `"a\u007fb"`, `"a\u0085b"`, `"a\u009fb"`, `"a\u202eb"`, `"a\u200bb"`,
			`"a\u200db"`, `"a\u2060b"`, `"a\ufeffb"`, `"a\ufffeb"`, `"a\uffffb"`, `"a\u2028b"`, `"a\u00adb"`, `"a\u3164b"`,
			`"a\u2800b"`, `"a\udb40\udc41b"`)
	}
	add("26", "user_id", "wrong_type", "1.5", "1e3", "1.0e0", "-0.5", "1E2", "5.01", "-757.50")
	add("27", "user_id", "invalid_length", strings.Repeat("9", 101))
	add("30", "item_ids", "invalid_length", "[]", `[""]`, "["+strings.Repeat("1,", 100)+"1]")
	add("30", "item_ids", "wrong_type", "[null]", "[[1]]", "[{}]", "[true]", "[1.5]", "[1, 2, 1e1]", "[5.0, 5.5]")
	add("30", "item_ids", "invalid_characters", `[1, " x"]`, `["a\u0000"]`)
	add("32", "item_ids", "invalid_length", "["+strings.Repeat("1,", 32_000)+"1]")
	add("33", "total_amount", "out_of_range", "-0.01", "-1", `"-0"`, "-0", `"-1"`, "-0.00", "-1e1", "-0e0")
	add("35", "total_amount", "precision", "0.001", `"1.234"`, "0.0000000001", "99999999.999", "1e-3", "1.5E-2", "1e-400")
	add("36", "total_amount", "out_of_range", "100000000", "9007199254740993", `"100000000.00"`, strings.Repeat("9", 400), "1e8", "1.0E+8", "1e300")
	add("37", "total_amount", "invalid_amount",
		`"1e2"`, `"1.0E7"`, `" 5 "`, `"5 "`, `"1,5"`, `""`, `"abc"`, `"٣"`, `"+5"`, `"05"`, `".5"`, `"5."`, `"0x10"`, `"1_000"`,
		`"--1"`, `"NaN"`, `"1.2.3"`, `"1\u0000"`)
	add("39", "status", "invalid_status", `"pending"`, `"Shipped"`, `""`, `"Pending "`, `"PROCESSING"`)
	add("39", "status", "wrong_type", "1", "null", "true", "{}", `["Pending"]`)
	return list
}

// unknownID has the form of an id and names no order.
const unknownID = "ORD01HZX000000000000000000000"

// pathRejections are 42, 43 and 45.
func pathRejections() []rejection {
	ids := []string{
		unknownID, "ORDZZZZZZZZZZZZZZZZZZZZZZZZZZ", "x", "ORD", "645", unknownID + "0", unknownID[:28], strings.ToLower(unknownID),
		"ORD01HZX00000000000000000000I", strings.Repeat("9", 10_000), "%00", "%0d%0a", "%2e%2e%2f", "%252F", "%F0%9F%9A%80", "%ff",
		"'%20OR%201=1--", "%7B%22$ne%22:1%7D", unknownID + "%00", "%20" + unknownID, "..%2fids",
	}
	list := rows("42", func(id string) request { return get("/api/orders/" + id + "/status/") }, 404, codes("order_not_found"), ids...)
	list = append(list, rows("42", func(id string) request { return get("/api/orders/" + id) }, 404, codes("order_not_found"), ids...)...)
	list = append(list, rows("43", func(limit string) request { return get("/api/orders/ids/?limit=" + limit) },
		400, codes("invalid_limit"),
		"0", "-1", "1.5", "abc", "", "1e9", "1001", "%2B5", "5%20", "0x5", "٣", "99999999999999999999", "5&limit=5", "5&limit=6")...)
	list = append(list, rows("45", func(cursor string) request { return get("/api/orders/ids?cursor=" + cursor) },
		400, codes("invalid_cursor"), cursors()...)...)
	return append(list,
		rejection{"43 45: both", get("/api/orders/ids/?limit=0&cursor=x"), 400, codes("invalid_limit", "invalid_cursor")},
		rejection{"44: an invalid query", get("/api/orders/ids/?limit=%zz"), 400, codes("invalid_query")},
	)
}

// cursors are strings that no page gives.
func cursors() []string {
	list := []string{"", "x", "1", "MTIz", "AAAA", strings.Repeat("A", 2048), "%00", "%20", "null", "588306736133242880", "a&cursor=b"}
	for _, s := range []string{"=", "==", "\n", "☃", "{}", "../"} {
		list = append(list, url.QueryEscape(s))
	}
	return list
}

// keyRejections are 46.
func keyRejections() []rejection {
	list := rows("46", func(key string) request {
		r := post(good)
		r.header["Idempotency-Key"] = []string{key}
		return r
	}, 400, codes("invalid_idempotency_key"),
		"", `""`, strings.Repeat("k", 256), `"`+strings.Repeat("k", 256)+`"`, "a\x00b", "a\tb", "a b", "clé", "a,b", "a, b", "\x7f", "\u202e")
	two := post(good)
	two.header["Idempotency-Key"] = []string{"a", "b"}
	same := post(good)
	same.header["Idempotency-Key"] = []string{"a", "a"}
	return append(list,
		rejection{"46: two headers", two, 400, codes("invalid_idempotency_key")},
		rejection{"46: the same header twice", same, 400, codes("invalid_idempotency_key")},
		rejection{"46: with other violations", post("{}", "Idempotency-Key", "a,b"), 400,
			codes("required", "required", "required", "invalid_idempotency_key")},
		rejection{"46: with invalid JSON", post("{", "Idempotency-Key", "a,b"), 400,
			codes("invalid_json", "invalid_idempotency_key")},
	)
}

// damaged lists damaged forms of a cursor.
func damaged(cursor string) (list []string) {
	for i := range cursor {
		flipped := []byte(cursor)
		flipped[i] ^= 1
		list = append(list, url.QueryEscape(string(flipped)), url.QueryEscape(cursor[:i]))
	}
	return append(list, cursor+"A", cursor+"=", fmt.Sprintf("%s%s", cursor, cursor))
}
