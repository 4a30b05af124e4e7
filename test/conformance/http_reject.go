package conformance

import (
	"encoding/json/v2"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"orders/shared/order"
)

// A rejection is a request that is to be refused, and how: its status, and the
// codes of all its faults.
type rejection struct {
	name   string
	send   request
	status int
	codes  []string
}

// rejectTests makes a test of each table: every request is refused as it says,
// and in the end nothing is stored (I2).
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

// A refusal is a problem on the wire.
type refusal struct {
	Type     string  `json:"type"`
	Title    string  `json:"title"`
	Status   int     `json:"status"`
	Code     string  `json:"code"`
	Detail   string  `json:"detail"`
	Instance string  `json:"instance"`
	Errors   []fault `json:"errors"`
}

type fault struct {
	Pointer   *string `json:"pointer"`
	Parameter string  `json:"parameter"`
	Header    string  `json:"header"`
	Code      string  `json:"code"`
	Detail    string  `json:"detail"`
}

func (c *client) reject(r rejection) {
	c.Helper()
	a := c.do(r.send)
	if a.StatusCode != r.status || a.Header.Get("Content-Type") != "application/problem+json" {
		c.Errorf("%s: %s %s %.300s, not %d", r.name, a.Status, a.Header.Get("Content-Type"), a.body, r.status)
		return
	}
	if r.send.method == http.MethodHead {
		return
	}
	p := decode[refusal](c, a)
	codes := []string{p.Code}
	if len(p.Errors) > 0 {
		codes = nil
		for _, f := range p.Errors {
			codes = append(codes, f.Code)
			c.checkPlace(r, f)
		}
	}
	if !slices.Equal(codes, r.codes) || p.Code != r.codes[0] {
		c.Errorf("%s: codes %v, not %v", r.name, codes, r.codes)
	}
	if p.Status != r.status || p.Type != "urn:orders:problem:"+p.Code || p.Title == "" || p.Detail == "" || p.Instance == "" {
		c.Errorf("%s: problem %+v", r.name, p)
	}
}

// checkPlace makes sure that a fault names one place, and the rule.
func (c *client) checkPlace(r rejection, f fault) {
	c.Helper()
	places := 0
	for _, named := range []bool{f.Pointer != nil, f.Parameter != "", f.Header != "", f.Code == "invalid_query"} {
		if named {
			places++
		}
	}
	if places != 1 || f.Detail == "" {
		c.Errorf("%s: fault %+v", r.name, f)
	}
}

// good is a body with nothing wrong.
const good = `{"user_id": 645, "item_ids": [890, 563], "total_amount": 1650.78}`

// body is good with one field set, or added, to a JSON text.
func withField(name, value string) string {
	fields := map[string]string{"user_id": "645", "item_ids": "[890, 563]", "total_amount": "1650.78"}
	fields[name] = value
	names := slices.Sorted(func(yield func(string) bool) {
		for n := range fields {
			if !yield(n) {
				return
			}
		}
	})
	var b strings.Builder
	for i, n := range names {
		fmt.Fprintf(&b, "%c%q: %s", "{,"[min(i, 1)], n, fields[n])
	}
	return b.String() + "}"
}

// quote is s as a JSON string.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // every valid UTF-8 string has a JSON form
	}
	return string(text)
}

// rows makes a rejection of each input that send turns into a request.
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
