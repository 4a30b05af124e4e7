package conformance

import (
	"encoding/json/v2"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"orders/shared/order"
)

// rejectTests makes a test of each table: every request is refused as its row says, and at the end
// nothing is stored (I2).
func rejectTests() (tests []httpTest) {
	for _, table := range []struct {
		name string
		rows func(*client)
	}{
		{"transport", rejectTransport},
		{"JSON", rejectJSON},
		{"values", rejectValues},
		{"paths and queries", rejectPaths},
		{"idempotency keys", rejectKeys},
		{"transitions", rejectTransitions},
	} {
		tests = append(tests, httpTest{"I2 I15 bad input is refused and nothing is stored: " + table.name, func(c *client) {
			table.rows(c)
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

	OrderStatus  string `json:"order_status"`
	OrderVersion int    `json:"order_version"`
}

type violation struct {
	Pointer   *string `json:"pointer"`
	Parameter string  `json:"parameter"`
	Header    string  `json:"header"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

// reject sends a request that must be refused, with that status and the codes of all violations. The
// number is that of docs/bad-input.md.
func (c *client) reject(number string, r request, status int, codes ...string) {
	c.Helper()
	res := c.send(r)
	fail := func(format string, args ...any) {
		c.Helper()
		c.Errorf("%s: %s %.60q %.60q: %s", number, r.method, r.target, r.body, fmt.Sprintf(format, args...))
	}
	if res.StatusCode != status || res.Header.Get("Content-Type") != "application/problem+json" {
		fail("%s %s %.300s, not %d", res.Status, res.Header.Get("Content-Type"), res.body, status)
		return
	}
	if r.method == http.MethodHead {
		return
	}
	p := decode[refusal](c, res)
	got := []string{p.Code}
	if len(p.Errors) > 0 {
		got = nil
	}
	for _, v := range p.Errors {
		got = append(got, v.Code)
		placed := v.Pointer != nil || v.Parameter != "" || v.Header != "" // the contract allows only one
		if placed == (v.Code == "invalid_query") || v.Detail == "" {
			fail("violation %+v", v)
		}
	}
	if !slices.Equal(got, codes) || p.Code != codes[0] {
		fail("codes %v, not %v", got, codes)
	}
	if p.Status != status || p.Type != "urn:orders:problem:"+p.Code || p.Title == "" || p.Detail == "" || p.Instance == "" {
		fail("problem %+v", p)
	}
}

// rejectEach sends a request made of each input. All must be refused with that status and code.
func (c *client) rejectEach(number string, send func(string) request, status int, code string, inputs ...string) {
	c.Helper()
	for _, in := range inputs {
		c.reject(number, send(in), status, code)
	}
}

// good is a valid body.
const good = `{"user_id": 645, "item_ids": [890, 563], "total_amount": 1650.78}`

// largest is a valid body of the largest size.
var largest = good + strings.Repeat(" ", 64<<10-len(good))

// oneItem stands for an entry of item_ids, where others give the name of a field.
const oneItem = "an item"

// withField is the good body with one field set or added. The value is JSON.
func withField(name, value string) string {
	if name == oneItem {
		name, value = "item_ids", "[890, "+value+"]"
	}
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

// body makes a create of its body.
func body(text string) request { return post(text) }

// headed makes a good create with one header, whose value it is.
func headed(name string) func(string) request {
	return func(value string) request { return post(good, name, value) }
}

// rejectTransport has 1 to 14, but for those to which the host itself responds.
func rejectTransport(c *client) {
	c.rejectEach("1", body, 400, "empty_body", "", " \r\n\t ")
	c.rejectEach("2", headed("Content-Type"), 415, "unsupported_media_type",
		"", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
		"application/problem+json", "application/json;;", "json",
		"application/json; charset=utf-16", "application/json, text/plain")
	c.reject("5", post(good).twice("Content-Type", "application/json", "text/plain"), 415, "unsupported_media_type")
	c.rejectEach("6", headed("Content-Encoding"), 415, "unsupported_encoding", "gzip", "br", "deflate", "gzip, identity")
	c.rejectEach("7", headed("Accept"), 406, "not_acceptable",
		"text/html", "text/*", "application/xml, text/html;q=0.9", "application/json;q=0", "*/*, application/json;q=0")
	tooLarge := post(largest + " ")
	c.reject("8", tooLarge, 413, "body_too_large")
	tooLarge.unknownLength = true
	c.reject("8 in chunks", tooLarge, 413, "body_too_large")
	c.rejectEach("11", func(method string) request {
		return request{method: method, target: "/api/orders/create/"}
	}, 405, "method_not_allowed", "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
	c.rejectEach("11", func(target string) request {
		return request{method: http.MethodPost, target: target}
	}, 405, "method_not_allowed",
		"/api/orders/ids/", "/api/orders/ids", "/api/metrics/", "/api/orders/x/status/", "/api/orders/x/")
	c.rejectEach("13", get, 404, "no_such_route",
		"/", "/api", "/api/", "/api/order/", "/api/orders/x/y/", "/api/orders/create/x/", "/api/metrics/x", "/favicon.ico", "/api/%zz"[:5]+"q")
	c.reject("13", request{method: "BREW", target: "/"}, 404, "no_such_route")
	c.rejectEach("14", get, 404, "no_such_route", "/api/orders/../../", "//", "/../../etc/passwd", "/api/orders/./x/y")
}

// rejectJSON has 15 to 24.
func rejectJSON(c *client) {
	c.rejectEach("15", body, 400, "invalid_json",
		good[:len(good)-1], good[:10], "{", `{"user_id"`, `{"user_id":`, `{"user_id": 645,}`, `{,}`,
		`{'user_id': 645}`, `{user_id: 645}`, "/* x */ "+good, good+" // x", "\ufeff"+good,
		withField("total_amount", "NaN"), withField("total_amount", "Infinity"), withField("total_amount", "1e400"),
		withField("user_id", "-1e999"), withField("total_amount", "01"), withField("total_amount", "+1"),
		withField("total_amount", ".5"), withField("total_amount", "5."), withField("total_amount", "0x10"),
		withField("user_id", "\"a\nb\""), withField("user_id", `"\x41"`), withField("user_id", `"abc`),
		withField("item_ids", "[1, 2"), withField("item_ids", "[1 2]"), withField("unknown", "[1, "))
	c.rejectEach("16", body, 400, "invalid_json", good+good, good+"x", good+" {}", good+"\x00", good+"]", "[] []", `"x" 1`)
	c.rejectEach("17", body, 400, "wrong_type", "null", "[]", `["user_id"]`, `"order"`, "645", "true")
	c.rejectEach("18", body, 400, "duplicate_field",
		`{"user_id": 645, "user_id": 645, "item_ids": [890], "total_amount": 1}`,
		`{"user_id": 645, "\u0075ser_id": 646, "item_ids": [890], "total_amount": 1}`)
	c.reject("19", post(`{"USER_ID": 645, "item_ids": [890], "total_amount": 1}`), 400, "unknown_field", "required")
	c.rejectEach("20", body, 400, "unknown_field",
		withField("unknown", "1"), withField("__proto__", `{"x": 1}`), withField("created_at", `"2026-01-01"`),
		withField("version", "1"), withField("", "1"), withField("a/b~c", "{}"),
		`{"user_id": 645, "item_ids": [890], "total_amount": 1, "id": {"user_id": {}}}`)
	c.rejectEach("21", body, 400, "invalid_json",
		strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001),
		withField("user_id", strings.Repeat("[", 10_001)+strings.Repeat("]", 10_001)))
	c.rejectEach("22", body, 400, "invalid_utf8",
		withField("user_id", "\"\xff\xfe\""), withField("user_id", "\"\xc0\x80\""), withField("user_id", "\"\xed\xa0\x80\""), "\xff")
	c.rejectEach("22", body, 400, "invalid_json", withField("user_id", `"\ud800"`), withField("user_id", `"\udc00\ud800"`))
	c.rejectEach("23", body, 400, "wrong_type",
		withField("user_id", "true"), withField("user_id", "{}"), withField("user_id", "[645]"),
		withField("total_amount", "false"), withField("total_amount", "[1]"), withField("total_amount", `{"$numberDecimal": "1"}`),
		withField("item_ids", `"890"`), withField("item_ids", "890"), withField("item_ids", `{"0": 890}`),
		withField("order_id", "1"), withField("order_id", "null"), withField("order_id", "{}"))
	c.rejectEach("24", body, 400, "required",
		withField("user_id", "null"), withField("item_ids", "null"), withField("total_amount", "null"),
		`{"item_ids": [890], "total_amount": 1}`, `{"user_id": 645, "total_amount": 1}`, `{"user_id": 645, "item_ids": [890]}`)
	c.reject("24", post("{}"), 400, "required", "required", "required")
	c.reject("all violations at once",
		post(`{"user_id": true, "item_ids": ["", null], "x": {"y": [1]}, "status": "no", "total_amount": 0.001}`), 400,
		"wrong_type", "invalid_length", "wrong_type", "unknown_field", "invalid_status", "precision")
	for unknown, reported := range map[int]int{199: 199, 200: 200, 201: 200, 1000: 200} {
		c.reject("at most 200 violations", post(good[:len(good)-1]+strings.Repeat(`, "x": 1`, unknown)+"}"), 400,
			slices.Repeat([]string{"unknown_field"}, reported)...)
	}
}

// rejectValues has 26 to 39.
func rejectValues(c *client) {
	reject := func(number, name, code string, values ...string) {
		c.rejectEach(number+" "+name, func(value string) request { return post(withField(name, value)) }, 400, code, values...)
	}
	for _, name := range []string{"user_id", "order_id", oneItem} {
		reject("26", name, "invalid_length", `""`, quote(strings.Repeat("🛒", 101)), quote(strings.Repeat("x", 10_000)))
		reject("26", name, "invalid_characters", `"  "`, `" x"`, `"x "`, `"\u00a0x"`, `"x\u3000"`)
		reject("28", name, "invalid_characters",
			`"a\u0000b"`, `"a\r\nb"`, `"a\tb"`, `"a\u007fb"`, `"a\u0085b"`, `"a\u009fb"`, `"a\u202eb"`, `"a\u200bb"`,
			`"a\u200db"`, `"a\u2060b"`, `"a\ufeffb"`, `"a\ufffeb"`, `"a\uffffb"`, `"a\u2028b"`, `"a\u00adb"`, `"a\u3164b"`,
			`"a\u2800b"`, `"a\udb40\udc41b"`)
	}
	for _, name := range []string{"user_id", oneItem} {
		reject("26", name, "wrong_type", "1.5", "1e3", "1.0e0", "-0.5", "1E2", "5.01", "-757.50")
		reject("27", name, "invalid_length", strings.Repeat("9", 101), "-"+strings.Repeat("9", 100))
	}
	reject("30", oneItem, "wrong_type", "null", "[1]", "{}", "true")
	reject("30", "item_ids", "wrong_type", "[null]", "[1, 2, 1e1]", "[5.0, 5.5]")
	reject("30", "item_ids", "invalid_characters", `["a\u0000"]`)
	reject("30", "item_ids", "invalid_length", "[]", `[""]`, "["+strings.Repeat("1,", 100)+"1]")
	reject("32", "item_ids", "invalid_length", "["+strings.Repeat("1,", 32_000)+"1]")
	reject("33", "total_amount", "out_of_range", "-0.01", "-1", `"-0"`, "-0", `"-1"`, "-0.00", "-1e1", "-0e0", `"-0.001"`)
	reject("35", "total_amount", "precision", "0.001", `"1.234"`, "0.0000000001", "99999999.999", "1e-3", "1.5E-2", "1e-400")
	reject("36", "total_amount", "out_of_range", "100000000", "100000000.001", "9007199254740993", `"100000000.00"`, strings.Repeat("9", 400), "1e8", "1.0E+8", "1e300")
	reject("37", "total_amount", "invalid_amount",
		`"1e2"`, `"1.0E7"`, `" 5 "`, `"5 "`, `"1,5"`, `""`, `"abc"`, `"٣"`, `"+5"`, `"05"`, `".5"`, `"5."`, `"0x10"`, `"1_000"`,
		`"--1"`, `"NaN"`, `"1.2.3"`, `"1\u0000"`, `"00"`, `"."`, `"-"`)
	reject("39", "status", "invalid_status", `"pending"`, `"Shipped"`, `""`, `"Pending "`, `"PROCESSING"`, `"Failed"`, `"Cancelled"`)
	reject("39", "status", "wrong_type", "1", "null", "true", "{}", `["Pending"]`)
}

// cursorAt asks for the page at a cursor.
func cursorAt(cursor string) request { return get("/api/orders/ids?cursor=" + cursor) }

// unknownID has the form of an id.
const unknownID = "ORD01HZX000000000000000000000"

// rejectPaths has 42, 43 and 45.
func rejectPaths(c *client) {
	for _, id := range []string{
		unknownID, "ORDZZZZZZZZZZZZZZZZZZZZZZZZZZ", "x", "ORD", "645", unknownID + "0", unknownID[:28], strings.ToLower(unknownID),
		"ORD01HZX00000000000000000000I", strings.Repeat("9", 10_000), "%00", "%0d%0a", "%2e%2e%2f", "%252F", "%F0%9F%9A%80", "%ff",
		"'%20OR%201=1--", "%7B%22$ne%22:1%7D", unknownID + "%00", "%20" + unknownID, "..%2fids",
	} {
		c.rejectEach("42", get, 404, "order_not_found", "/api/orders/"+id+"/status/", "/api/orders/"+id)
	}
	c.rejectEach("43", func(limit string) request { return get("/api/orders/ids/?limit=" + limit) }, 400, "invalid_limit",
		"0", "-1", "1.5", "abc", "", "1e9", "1001", "%2B5", "5%20", "0x5", "٣", "99999999999999999999", "5&limit=5", "5&limit=6")
	c.rejectEach("45", cursorAt, 400, "invalid_cursor",
		"", "x", "1", "MTIz", "AAAA", strings.Repeat("A", 2048), "%00", "%20", "null", "588306736133242880", "a&cursor=b", "%3D",
		"%3D%3D", "%0A", "%E2%98%83", "%7B%7D", "..%2F", "9aCA_BCV") // the last is a correct checksum without a position
	c.reject("43 45: both", get("/api/orders/ids/?limit=0&cursor=x"), 400, "invalid_limit", "invalid_cursor")
	c.reject("44", get("/api/orders/ids/?limit=%zz"), 400, "invalid_query")
}

// rejectKeys has 46.
func rejectKeys(c *client) {
	const code = "invalid_idempotency_key"
	for _, keys := range [][]string{
		{""}, {`""`}, {strings.Repeat("k", 256)}, {`"` + strings.Repeat("k", 256) + `"`}, {"a\x00b"}, {"a\tb"}, {"a b"},
		{"clé"}, {"a,b"}, {"a, b"}, {"\x7f"}, {"\u202e"}, {"a", "b"}, {"a", "a"},
	} {
		c.reject("46", post(good).twice("Idempotency-Key", keys...), 400, code)
	}
	c.reject("46 with other violations", post("{}", "Idempotency-Key", "a,b"), 400, "required", "required", "required", code)
	c.reject("46 with invalid JSON", post("{", "Idempotency-Key", "a,b"), 400, "invalid_json", code)
}

// transitionNames are those that have a path.
var transitionNames = []string{"cancel", "complete", "fail", "retry"}

// transition makes a request for a transition of an order.
func transition(id, name, body string) request {
	r := post(body)
	r.target = "/api/orders/" + id + "/" + name + "/"
	return r
}

// rejectTransitions has 55 to 59. A bad body is refused before the store is asked for the order.
func rejectTransitions(c *client) {
	reject := func(number, name, code string, bodies ...string) {
		c.rejectEach(number+" "+name, func(body string) request { return transition(unknownID, name, body) }, 400, code, bodies...)
	}
	for _, name := range transitionNames {
		with := func(member string) string { return `{"reason": "no stock", "version": 3, ` + member + "}" }
		field := func(name, value string) string {
			if name == "reason" {
				return `{"reason": ` + value + `, "version": 3}`
			}
			return `{"reason": "no stock", "version": ` + value + "}"
		}
		reject("15", name, "invalid_json", "{", "x", with(""), with(`"x": 1`)+"}", field("version", "01"), field("version", "1e999"))
		reject("17", name, "wrong_type", "null", "[]", `"cancel"`, "3", "true")
		reject("18", name, "duplicate_field", with(`"version": 3`), with(`"reason": "no stock"`))
		reject("20", name, "unknown_field", with(`"status": "Cancelled"`), with(`"Version": 3`), with(`"": {}`))
		reject("22", name, "invalid_utf8", field("reason", "\"\xff\""))
		reject("55", name, "invalid_version", field("version", "0"), field("version", "-1"), field("version", "-0"),
			field("version", "1.5"), field("version", "1e0"), field("version", "1000000001"), field("version", strings.Repeat("9", 100)))
		reject("56", name, "wrong_type", field("version", `"1"`), field("version", "true"), field("version", "[3]"),
			field("reason", "1"), field("reason", "{}"), field("reason", `["x"]`))
		reject("57", name, "invalid_length", field("reason", `""`), field("reason", quote(strings.Repeat("🛒", 501))))
		reject("57", name, "invalid_characters", field("reason", `" x"`), field("reason", `"x "`), field("reason", `"a\nb"`),
			field("reason", `"a\u0000b"`), field("reason", `"a\u202eb"`), field("reason", `"a\u200bb"`))
		c.reject("all violations at once", transition(unknownID, name, `{"reason": "", "x": 1, "version": 0}`), 400,
			"invalid_length", "unknown_field", "invalid_version")

		whole := transition(unknownID, name, `{"reason": "no stock", "version": 3}`)
		c.reject("2", whole.with("Content-Type", ""), 415, "unsupported_media_type")
		c.reject("2", whole.with("Content-Type", "text/plain"), 415, "unsupported_media_type")
		c.reject("6", whole.with("Content-Encoding", "gzip"), 415, "unsupported_encoding")
		c.reject("7", whole.with("Accept", "text/html"), 406, "not_acceptable")
		tooLarge := whole
		tooLarge.body += strings.Repeat(" ", 64<<10)
		c.reject("8", tooLarge, 413, "body_too_large")
		tooLarge.unknownLength = true
		c.reject("8 in chunks", tooLarge, 413, "body_too_large")
		c.rejectEach("11", func(method string) request {
			return request{method: method, target: whole.target}
		}, 405, "method_not_allowed", "GET", "HEAD", "PUT", "PATCH", "DELETE")
		for _, id := range []string{unknownID, "x", "ids", "%00", "ORD01HZX00000000000000000000I"} {
			c.reject("42", transition(id, name, whole.body), 404, "order_not_found")
		}
		c.reject("42 before the body", transition("x", name, "{"), 404, "order_not_found")
		c.reject("13", transition(unknownID, name+"/x", whole.body), 404, "no_such_route")
	}
	for name, member := range map[string]string{"fail": "reason", "retry": "version"} {
		reject("58", name, "empty_body", "", " \r\n\t ")
		reject("58", name, "required", "{}", fmt.Sprintf(`{%q: null}`, member))
	}
	for _, name := range []string{"cancel", "complete"} {
		c.reject("59", transition(unknownID, name, ""), 404, "order_not_found")
		c.reject("59", transition(unknownID, name, "").with("Content-Type", ""), 404, "order_not_found")
		reject("59", name, "wrong_type", `{"reason": null}`, `{"version": null}`)
	}
	reject("59", "retry", "wrong_type", `{"version": 3, "reason": null}`)
	reject("59", "fail", "wrong_type", `{"version": null, "reason": "no stock"}`)
}
