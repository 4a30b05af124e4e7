package conformance

import "strings"

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
	add("all faults at once", codes("wrong_type", "invalid_length", "wrong_type", "unknown_field", "invalid_status", "precision"),
		`{"user_id": true, "item_ids": ["", null], "x": {"y": [1]}, "status": "no", "total_amount": 0.001}`)
	return list
}
