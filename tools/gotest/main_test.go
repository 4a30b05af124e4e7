package main

import (
	"strings"
	"testing"
)

func TestTheReportHasPackagesFailuresAndSkippedTestsWithReasons(t *testing.T) {
	const events = `{"Action":"start","Package":"orders/a"}
{"Action":"run","Package":"orders/a","Test":"TestGood"}
{"Action":"output","Package":"orders/a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"orders/a","Test":"TestGood","Output":"    a_test.go:3: chatter\n"}
{"Action":"output","Package":"orders/a","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"orders/a","Test":"TestGood"}
{"Action":"output","Package":"orders/a","Test":"TestJava","Output":"    a_test.go:4: dynamodb: not installed:\n"}
{"Action":"output","Package":"orders/a","Test":"TestJava","Output":"        run make emulators\n"}
{"Action":"output","Package":"orders/a","Test":"TestJava","Output":"--- SKIP: TestJava (0.00s)\n"}
{"Action":"skip","Package":"orders/a","Test":"TestJava"}
{"Action":"skip","Package":"orders/a","Test":"TestQuiet"}
{"Action":"output","Package":"orders/a","Output":"PASS\n"}
{"Action":"output","Package":"orders/a","Output":"ok  \torders/a\t0.1s\n"}
{"Action":"pass","Package":"orders/a"}
{"Action":"output","Package":"orders/b","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"output","Package":"orders/b","Test":"TestBad","Output":"    b_test.go:5: wrong\n"}
{"Action":"fail","Package":"orders/b","Test":"TestBad"}
{"Action":"output","Package":"orders/b","Test":"TestPanics","Output":"panic: out of range\n"}
{"Action":"output","Package":"orders/b","Output":"FAIL\torders/b\t0.1s\n"}
{"Action":"fail","Package":"orders/b"}
{"ImportPath":"orders/c","Action":"build-output","Output":"c.go:1: undefined: x\n"}
{"Action":"output","Package":"orders/c","Output":"FAIL\torders/c [build failed]\n"}
{"Action":"fail","Package":"orders/c"}
{"Action":"output","Package":"orders/d","Output":"?   \torders/d\t[no test files]\n"}
{"Action":"skip","Package":"orders/d"}
not an event
`
	const want = "ok  \torders/a\t0.1s\n" +
		"--- FAIL: TestBad (0.00s)\n    b_test.go:5: wrong\npanic: out of range\nFAIL\torders/b\t0.1s\n" +
		"c.go:1: undefined: x\nFAIL\torders/c [build failed]\n" +
		"?   \torders/d\t[no test files]\nnot an event\n" +
		"\nSkipped: 2 tests\n" +
		"  orders/a: dynamodb: not installed: run make emulators (TestJava)\n" +
		"  orders/a: no reason is given (TestQuiet)\n"
	var out strings.Builder
	r := &report{out: &out, lines: map[string][]line{}, skips: map[string][]string{}}
	if err := r.read(strings.NewReader(events)); err != nil || out.String() != want {
		t.Errorf("error %v\n%s\nwant\n%s", err, &out, want)
	}
}
