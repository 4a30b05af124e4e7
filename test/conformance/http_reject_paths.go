package conformance

import (
	"fmt"
	"net/url"
	"strings"
)

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
		rejection{"44: a query that cannot be read", get("/api/orders/ids/?limit=%zz"), 400, codes("invalid_query")},
	)
}

// cursors are none that a page gives.
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
		rejection{"46: with other faults", post("{}", "Idempotency-Key", "a,b"), 400,
			codes("required", "required", "required", "invalid_idempotency_key")},
		rejection{"46: with a body that is none", post("{", "Idempotency-Key", "a,b"), 400,
			codes("invalid_json", "invalid_idempotency_key")},
	)
}

// damaged lists ways in which a cursor can come back other than it was given.
func damaged(cursor string) (list []string) {
	for i := range cursor {
		flipped := []byte(cursor)
		flipped[i] ^= 1
		list = append(list, url.QueryEscape(string(flipped)), url.QueryEscape(cursor[:i]))
	}
	return append(list, cursor+"A", cursor+"=", fmt.Sprintf("%s%s", cursor, cursor))
}
