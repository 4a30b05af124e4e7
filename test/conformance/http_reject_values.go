package conformance

import "strings"

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
