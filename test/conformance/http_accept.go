package conformance

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"orders/shared/order"
	"orders/test/service"
)

var httpTests = []httpTest{
	{"the original order is accepted unchanged, and completed", func(c *client) {
		const original = `{"user_id": 645, "order_id": "userTest23", "item_ids": [890, 563], "total_amount": 1650.78, "status": "Processing"}`
		for _, target := range []string{"/api/orders/create/", "/api/orders/create", "/api/orders/", "/api/orders", "//api/orders/", "/api//orders/./create", "/api/orders//", "/api/orders/create//./"} {
			r := post(original)
			r.target = target
			got := c.mustCreate(r)
			if got.Status != "Processing" {
				c.Errorf("%s: %+v", target, got)
			}
			o := c.order(got.OrderID)
			if o.UserID != "645" || o.ClientReference != "userTest23" || !slices.Equal(o.ItemIDs, []string{"890", "563"}) || o.TotalAmount != "1650.78" {
				c.Errorf("%s: stored %+v", target, o)
			}
			c.awaitStatus(order.ID(got.OrderID), order.Completed)
		}
	}},
	{"status and order show the order until it is completed", func(c *client) {
		id := c.mustCreate(post(good)).OrderID
		c.awaitStatus(order.ID(id), order.Completed)
		for _, target := range []string{"/api/orders/" + id + "/status/", "/api/orders/" + id + "/status", "//api/orders/" + id + "/status//"} {
			if got := decode[service.Created](c, c.send(get(target))); got.OrderID != id || got.Status != "Completed" {
				c.Errorf("%s: %+v", target, got)
			}
		}
		res := c.send(get("/api/orders/" + id))
		o := decode[service.Order](c, res)
		times := []time.Time{o.CreatedAt, o.StartedAt, o.CompletedAt}
		if !slices.IsSortedFunc(times, time.Time.Compare) || len(inMillis.FindAll(res.body, -1)) != len(times)+len(o.History) || o.ClientReference != "" {
			c.Errorf("order %s", res.body)
		}
	}},
	{"the response to HEAD is that to GET without a body", func(c *client) {
		id := c.mustCreate(post(withField("status", `"Completed"`))).OrderID
		for _, target := range []string{"/api/metrics/", "/api/orders/" + id, "/api/orders/" + id + "/status/", "/api/orders/nonsense", "/api/orders/"} {
			full, head := c.send(get(target)), c.send(request{method: http.MethodHead, target: target})
			if head.StatusCode != full.StatusCode || len(head.body) != 0 || head.Header.Get("Content-Length") != full.Header.Get("Content-Length") {
				c.Errorf("HEAD %s: %s %v %q", target, head.Status, head.Header, head.body)
			}
		}
	}},
	{"a 405 says what is allowed", func(c *client) {
		for target, allow := range map[string]string{"/api/orders/": "POST", "/api/orders/ids/": "GET, HEAD"} {
			if got := c.send(request{method: http.MethodDelete, target: target}).Header.Get("Allow"); got != allow {
				c.Errorf("%s: Allow is %q, not %q", target, got, allow)
			}
		}
	}},
	{"4, 7, 12, 44 harmless variants of a request are accepted", func(c *client) {
		for _, r := range []request{
			post(good, "Content-Type", "Application/JSON; charset=UTF-8"),
			post(good, "Content-Type", `application/json;charset="utf-8"`),
			post(good, "Content-Type", "application/json; charset=utf8"),
			post(good, "Content-Type", "application/json; charset=UTF8"),
			post(good, "Content-Encoding", "identity"),
			post(good, "Accept", "*/*"), post(good, "Accept", "application/*"), post(good, "Accept", "text/html, application/json;q=0.1"),
			post(good, "Accept", ","), post(good, "Accept", ";;;"),
			post(good, "X-HTTP-Method-Override", "DELETE"),
			post("\n\t " + good + " \r\n"), post(largest),
			{method: "POST", target: "/api/orders/create/?from=/a/b/&limit=0", body: largest, header: post(good).header, unknownLength: true},
		} {
			c.mustCreate(r)
		}
		if res := c.send(get("/api/orders/ids/?unknown=1&cursors=x&limit=1000")); res.StatusCode != 200 {
			c.Errorf("unknown parameter: %s", res.Status)
		}
	}},
	{"a request keeps the id that it has, unless the id is invalid", func(c *client) {
		for id, kept := range map[string]bool{
			"my-request-1": true, "!~": true, strings.Repeat("x", 100): true, strings.Repeat("x", 101): false, "a b": false, "é": false, "!\x7f": false,
		} {
			got := c.send(get("/api/metrics/").with("X-Request-Id", id)).Header.Get("X-Request-Id")
			if (got == id) != kept || got == "" {
				c.Errorf("sent %q, got %q", id, got)
			}
		}
	}},
	{"25, 27, 29, 31, 40, 41 texts come back as they were sent", func(c *client) {
		for sent, want := range map[string]string{
			"645": "645", `"645"`: "645", "-1": "-1", "0": "0", "5.0": "5", "-757.0": "-757", "12.000": "12",
			"9223372036854775808": "9223372036854775808", "123456789012345678901234567890": "123456789012345678901234567890",
			`"Ünïcødé"`: "Ünïcødé", `"注文 番号"`: "注文 番号", `"🚀❤️"`: "🚀❤️", `"नमस्ते"`: "नमस्ते", `"a\u0301"`: "a\u0301",
			`"' OR 1=1--"`: "' OR 1=1--", `"{\"$ne\":1}"`: `{"$ne":1}`, `"<script>alert(1)</script>"`: "<script>alert(1)</script>",
			`"~!@#$%^&*()  x"`: "~!@#$%^&*()  x", `"\ufffd"`: "\ufffd", `"%s%n%x"`: "%s%n%x", `"${jndi:ldap://x}"`: "${jndi:ldap://x}", `"{{7*7}}"`: "{{7*7}}", `"\\"`: `\`, `"/"`: "/",
			`"ORDER#x"`: "ORDER#x", `"TALLY"`: "TALLY", `"CHECKPOINT"`: "CHECKPOINT",
			"-0": "-0", strings.Repeat("9", 100): strings.Repeat("9", 100), quote(strings.Repeat("🛒", 100)): strings.Repeat("🛒", 100),
		} {
			body := fmt.Sprintf(`{"user_id": %s, "item_ids": [%s%s], "total_amount": 1}`, sent, sent, strings.Repeat(", "+sent, 99))
			o := c.order(c.mustCreate(post(body)).OrderID)
			if o.UserID != want || !slices.Equal(o.ItemIDs, slices.Repeat([]string{want}, 100)) {
				c.Errorf("sent %s, got %q and %q", sent, o.UserID, o.ItemIDs)
			}
			if strings.HasPrefix(sent, `"`) { // a reference must be a string
				o := c.order(c.mustCreate(post(withField("order_id", sent))).OrderID)
				if o.ClientReference != want {
					c.Errorf("sent %s, got reference %q", sent, o.ClientReference)
				}
			}
		}
	}},
	{"34, 38 amounts are kept exactly", func(c *client) {
		for sent, want := range map[string]string{
			"0": "0.00", "0.0": "0.00", "0.00": "0.00", "99999999.99": "99999999.99", "99999999.990": "99999999.99", `"0.5"`: "0.50", `"1650.78"`: "1650.78", `"10"`: "10.00", "1650.780": "1650.78",
			"0.1": "0.10", "0.29": "0.29", "1.15": "1.15", "19.99": "19.99", "2.67": "2.67", "0.07": "0.07", "4.350000000000000000000000": "4.35",
			"1.0E7": "10000000.00", "1.5E+3": "1500.00", "16.5078e2": "1650.78", "1e2": "100.00", "1e-2": "0.01", "0e300": "0.00", "9.999999999e7": "99999999.99",
		} {
			if got := c.order(c.mustCreate(post(withField("total_amount", sent))).OrderID).TotalAmount; got != want {
				c.Errorf("sent %s, got %s", sent, got)
			}
		}
	}},
	{"I3 47 the same key and request, in any spelling, give the same order", func(c *client) {
		const whole = `{"user_id": 645, "item_ids": [890], "total_amount": 10000000}`
		first := c.mustCreate(post(whole, "Idempotency-Key", "k-1"))
		c.awaitStatus(order.ID(first.OrderID), order.Completed)
		for _, r := range []request{
			post(whole, "Idempotency-Key", "k-1"),
			post(whole, "Idempotency-Key", `"k-1"`),
			post(`{"total_amount":"10000000.000","item_ids":["890"],"user_id":"645"}`, "Idempotency-Key", "k-1"),
			post(` { "item_ids" : [ 890 ] , "total_amount" : 1.0E7 , "user_id" : 645.0, "status": "Pending" } `, "Idempotency-Key", "k-1"),
			post(`{"user_id": "645", "item_ids": [890.00], "total_amount": 10000000000e-3}`, "Idempotency-Key", "k-1"),
		} {
			res := c.send(r)
			if res.StatusCode != 201 || res.Header.Get("Idempotency-Replayed") != "true" || decode[service.Created](c, res) != first {
				c.Errorf("%s: %s %v %s", r.body, res.Status, res.Header, res.body)
			}
		}
		if other := c.mustCreate(post(whole, "Idempotency-Key", "k-2")); other.OrderID == first.OrderID {
			c.Errorf("another key has the same order")
		}
	}},
	{"I2 48 the same key with another request is refused", func(c *client) {
		c.mustCreate(post(good, "Idempotency-Key", "k"))
		for name, value := range map[string]string{
			"total_amount": "1650.79", "user_id": "646", "item_ids": "[563, 890]", "order_id": `"x"`, "status": `"Processing"`,
		} {
			c.reject("48", post(withField(name, value), "Idempotency-Key", "k"), 422, "idempotency_key_reused")
		}
		c.awaitCount(1)
	}},
	{"I3 49 fifty requests at once with one key make one order", func(c *client) {
		want := fmt.Sprintf(`{"order_id":"%s","status":"Pending"}`, order.KeyedID("", "k"))
		c.concurrently(50, func(int) error {
			if res := c.send(post(good, "Idempotency-Key", "k")); string(res.body) != want {
				return fmt.Errorf("%s %s, not %s", res.Status, res.body, want)
			}
			return nil
		})
		c.awaitCount(1)
	}},
	{"I12 following the links gives all ids once, newest first", func(c *client) {
		for range 25 {
			c.mustCreate(post(good))
		}
		c.awaitCount(25)
		for _, start := range []string{"/api/orders/ids/?limit=10", "/api/orders/ids?limit=10&colour=red", "//api/orders/ids//?limit=10"} {
			var got []order.ID
			for target := start; target != ""; {
				res := c.send(get(target))
				for _, entry := range decode[[]map[string]order.ID](c, res) {
					got = append(got, entry["order_id"])
				}
				target = c.nextPage(target, res)
			}
			if want := c.all(1000); !slices.Equal(got, want) {
				c.Errorf("links from %s give %v, not %v", start, got, want)
			}
		}
	}},
	{"45 a damaged cursor is refused", func(c *client) {
		for range 3 {
			c.mustCreate(post(good))
		}
		c.awaitCount(3)
		const first = "/api/orders/ids/?limit=1"
		_, cursor, _ := strings.Cut(c.nextPage(first, c.send(get(first))), "cursor=")
		damaged := []string{cursor + "A", cursor + "=", cursor + cursor}
		for i := range cursor {
			flipped := []byte(cursor)
			flipped[i] ^= 1
			damaged = append(damaged, url.QueryEscape(string(flipped)), cursor[:i])
		}
		c.rejectEach("45", cursorAt, 400, "invalid_cursor", damaged...)
	}},
	{"metrics have every status, and the total is their sum", func(c *client) {
		c.mustCreate(post(good))
		c.mustCreate(post(withField("status", `"Completed"`)))
		c.awaitCompleted(2)
		got := decode[service.Metrics](c, c.send(get("/api/metrics/")))
		want := map[string]int{"Pending": 0, "Processing": 0, "Completed": 2}
		if got.TotalOrders != 2 || got.AvgProcessTime < c.ProcessingTime.Seconds() || !maps.Equal(got.StatusCounts, want) {
			c.Errorf("metrics %+v", got)
		}
	}},
}

// inMillis matches a time with milliseconds (RFC 3339).
var inMillis = regexp.MustCompile(`"[0-9-]{10}T[0-9:]{8}\.[0-9]{3}Z"`)

// nextPage returns the target of the page that follows the response to target, "" on the last
// page. It checks that a prefix that a proxy puts before the path is kept.
func (c *client) nextPage(target string, res response) string {
	c.Helper()
	link, rest, _ := strings.Cut(strings.TrimPrefix(res.Header.Get("Link"), "<"), ">")
	if rest != `; rel="next"` {
		return ""
	}
	next := c.resolve("https://shop.example"+target, link).RequestURI()
	if prefixed := c.resolve("https://shop.example/v1"+target, link).RequestURI(); prefixed != "/v1"+next {
		c.Errorf("%s has the link %s, which leads to %s under the prefix /v1", target, link, prefixed)
	}
	return next
}
