package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"orders/shared/order"
)

// The contract and the service must agree on both sides of every limit, in every field.
// checkContract compares them. The number of accepted values makes sure that they do not agree to
// refuse everything.
func TestTheContractAllowsWhatTheServiceTakes(t *testing.T) {
	send := contractService(t)
	text := []string{
		`""`, `" "`, `"a"`, `"a b"`, `" a"`, `"a "`, `"a\n"`, `"a\nb"`, `"\u00a0a"`, `"a\u200bb"`, `"\u0000"`, `"é語🛒"`,
		quoted("a", 100), quoted("a", 101), quoted("🛒", 100), quoted("🛒", 101), `null`, `true`, `{}`, `[]`, `["a"]`,
	}
	integer := []string{
		`0`, `-0`, `1`, `-1`, `645`, `1.0`, `1.5`, `1e3`, `9223372036854775808`, `-9223372036854775809`,
		strings.Repeat("9", 100), strings.Repeat("9", 101), "-" + strings.Repeat("9", 99), "-" + strings.Repeat("9", 100),
	}
	for _, tt := range []struct {
		field, template string
		values          []string
		accepted        int
	}{
		{"user_id", `{"user_id":VALUE,"item_ids":[1],"total_amount":1}`, slices.Concat(text, integer), 15},
		{"item_ids", `{"user_id":1,"item_ids":VALUE,"total_amount":1}`, itemLists(), 3},
		{"one of item_ids", `{"user_id":1,"item_ids":[1,VALUE],"total_amount":1}`, slices.Concat(text, integer), 15},
		{"total_amount", `{"user_id":1,"item_ids":[1],"total_amount":VALUE}`, amounts(), 26},
		{"order_id", `{"user_id":1,"item_ids":[1],"total_amount":1,"order_id":VALUE}`, slices.Concat(text, integer), 5},
		{"status", `{"user_id":1,"item_ids":[1],"total_amount":1,"status":VALUE}`,
			[]string{`"Pending"`, `"Processing"`, `"Completed"`, `"pending"`, `"Shipped"`, `""`, `1`, `null`}, 3},
		{"the fields", `VALUE`, fieldLists(), 2},
	} {
		t.Run(tt.field, func(t *testing.T) {
			accepted := 0
			for _, value := range tt.values {
				e := send("POST", "/api/orders/create/", nil, strings.ReplaceAll(tt.template, "VALUE", value))
				checkContract(t, e.req, e.requestBody, e.res, e.responseBody)
				if e.res.StatusCode == http.StatusCreated {
					accepted++
				}
			}
			if accepted != tt.accepted {
				t.Errorf("%d of %d values were accepted, want %d", accepted, len(tt.values), tt.accepted)
			}
		})
	}
}

// The pattern of a text is as strict as the service for each character of Unicode: alone, between
// others and at either end.
func TestTheContractAllowsTheCharactersThatTheServiceTakes(t *testing.T) {
	allowed, err := compilePattern(loadedContract().schema("Text").Pattern)
	if err != nil {
		t.Fatal(err)
	}
	for r := range rune(unicode.MaxRune + 1) {
		if !utf8.ValidRune(r) {
			continue
		}
		for _, text := range []string{string(r), "a" + string(r) + "b", "a" + string(r), string(r) + "b"} {
			if broken := order.CheckText(text); (broken == nil) != allowed.MatchString(text) {
				t.Fatalf("the text %q: the service says %v, the contract %t", text, broken, allowed.MatchString(text))
			}
		}
	}
}

func quoted(s string, times int) string { return `"` + strings.Repeat(s, times) + `"` }

func itemLists() []string {
	return []string{
		`[1]`, `["1",1]`, `[` + strings.Repeat(`1,`, 99) + `1]`, // 100 entries
		`[` + strings.Repeat(`1,`, 100) + `1]`, `[]`, `[null]`, `[[1]]`, `{}`, `"1"`, `1`, `null`,
	}
}

// amounts are valid and invalid amounts, each as a number and as a string.
func amounts() []string {
	values := []string{`null`, `true`, `[]`, `""`, `"abc"`, `" 5"`, `"1,5"`, `"+1"`, `"01"`, `".5"`, `"5."`, `"٣"`}
	for _, number := range []string{
		`0`, `0.00`, `10`, `0.5`, `0.1`, `0.29`, `1.15`, `19.99`, `1650.78`, `1650.780`, `99999999.99`, `99999999.990000`,
		`-0`, `-1`, `-0.01`, `0.001`, `1.234`, `0.1000000000000000055`, `99999999.991`, `100000000`, `9007199254740993`,
		`1e2`, `1E-2`, `1e400`,
	} {
		values = append(values, number, `"`+number+`"`)
	}
	return values
}

func fieldLists() []string {
	return []string{
		plainOrder, `{"total_amount":1,"item_ids":[1],"user_id":1}`,
		`{}`, `[]`, `null`, `1`, `"a"`, ` `, `{"user_id":1,"item_ids":[1]}`, `{"user_id":1,"total_amount":1}`,
		`{"item_ids":[1],"total_amount":1}`, `{"user_id":1,"item_ids":[1],"total_amount":1,"created_at":1}`,
		`{"USER_ID":1,"item_ids":[1],"total_amount":1}`, `{"user_id":1,"user_id":1,"item_ids":[1],"total_amount":1}`,
		`{"user_id":1,"item_ids":[1],"total_amount":1}}`, `{"user_id":1,"item_ids":[1],"total_amount":1,}`, `{'user_id':1}`,
		"{\"user_id\":\"\xff\",\"item_ids\":[1],\"total_amount\":1}", `{"user_id":"\ud800","item_ids":[1],"total_amount":1}`,
	}
}

// The pattern of a key allows exactly the keys that the service accepts.
func TestTheContractAllowsTheKeysThatTheServiceTakes(t *testing.T) {
	send := contractService(t)
	c := loadedContract()
	allowed, err := c.compile(c.model.Components.Parameters.GetOrZero("IdempotencyKey").Schema.Schema())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"a", `"a"`, `"`, `""`, `"""`, `""""`, `a"`, `"a`, `a"b`, "!~", "a,b", `"a,b"`, "a b", "é", "a\tb",
		strings.Repeat("k", 255), strings.Repeat("k", 256), quoted("k", 255), quoted("k", 256),
		`"` + strings.Repeat("k", 254), `"` + strings.Repeat("k", 255), strings.Repeat("k", 254) + `"`, strings.Repeat("k", 255) + `"`,
	} {
		e := send("POST", "/api/orders/", http.Header{"Idempotency-Key": {key}}, `{"user_id":1,"item_ids":[1],"total_amount":1}`)
		checkContract(t, e.req, e.requestBody, e.res, e.responseBody)
		accepted, broken := e.res.StatusCode == http.StatusCreated, allowed.Validate(key)
		if accepted != (broken == nil) {
			t.Errorf("the key %q (%d bytes): accepted %t, the contract says %v", key, len(key), accepted, broken)
		}
	}
}

func TestTheHeadersOfACreateKeepTheContract(t *testing.T) {
	send := contractService(t)
	for _, tt := range []struct {
		name   string
		header http.Header
		body   string
		status int
	}{
		{"a key", http.Header{"Idempotency-Key": {"k"}}, plainOrder, 201},
		{"the key again", http.Header{"Idempotency-Key": {`"k"`}}, plainOrder, 201},
		{"the key for another order", http.Header{"Idempotency-Key": {"k"}}, `{"user_id":1,"item_ids":[1],"total_amount":1}`, 422},
		{"two keys", http.Header{"Idempotency-Key": {"k", "k"}}, plainOrder, 400},
		{"an empty key", http.Header{"Idempotency-Key": {""}}, plainOrder, 400},
		{"a request id", http.Header{"X-Request-Id": {"checkout-17"}}, plainOrder, 201},
		{"an invalid request id", http.Header{"X-Request-Id": {"a b"}}, plainOrder, 201},
		{"a charset", http.Header{"Content-Type": {"Application/JSON; charset=UTF-8"}}, plainOrder, 201},
		{"another charset", http.Header{"Content-Type": {"application/json; charset=utf-16"}}, plainOrder, 415},
		{"another type", http.Header{"Content-Type": {"text/plain"}}, plainOrder, 415},
		{"no type", http.Header{"Content-Type": nil}, plainOrder, 415},
		{"a compressed body", http.Header{"Content-Encoding": {"gzip"}}, plainOrder, 415},
		{"HTML wanted", http.Header{"Accept": {"text/html"}}, plainOrder, 406},
		{"no body", http.Header{"Content-Type": {"application/json"}}, "", 400},
	} {
		t.Run(tt.name, func(t *testing.T) {
			send("POST", "/api/orders/create/", tt.header, tt.body).check(t, tt.status)
		})
	}
}
