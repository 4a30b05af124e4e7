package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The commands of README run in a shell, with curl and the port of a service. An order stays in
// Processing for 3 s instead of 50; all that README does with a Processing order must fit into them.
func TestReadmeCommandsPrintWhatReadmeShows(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil && os.Getenv("CI") == "" {
		t.Skip("*** SKIPPED: the commands of README need curl ***")
	}
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	s := startHere(t, newPath(t), "--processing-time", "3s")
	external := startHere(t, newPath(t), "--fulfilment", "external")
	ids := map[string]string{} // the ids in README, and those of the service
	examples := parseExamples(string(readme))
	if n := strings.Count(string(readme), "$ curl"); n == 0 || len(examples) != n {
		t.Errorf("README has %d commands, and %d of them in console blocks", n, len(examples))
	}
	for _, e := range examples {
		checkTimes(t, e)
		command := orderID.ReplaceAllStringFunc(e.command, func(id string) string { return ids[id] })
		command = strings.NewReplacer("http://127.0.0.1:8000", s.url, "http://127.0.0.1:8001", external.url).Replace(command)
		if strings.Contains(command, "Idempotency-Key") {
			for _, id := range orderID.FindAllString(e.output, -1) {
				ids[id] = id // a keyed id is the same on every service
			}
		}
		pattern, newIDs := e.pattern(ids)
		var output string
		run := func() []string {
			printed, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput()
			if err != nil {
				t.Fatalf("$ %s\n%v: %s", e.command, err, printed)
			}
			output = strings.ReplaceAll(string(printed), "\r\n", "\n")
			return pattern.FindStringSubmatch(output)
		}
		match := run()
		if !strings.Contains(command, " -d ") { // a read, which may be too early
			for deadline := time.Now().Add(10 * time.Second); match == nil && time.Now().Before(deadline); match = run() {
				time.Sleep(20 * time.Millisecond)
			}
		}
		if match == nil {
			t.Fatalf("$ %s\nprints\n%s\nREADME has\n%s", e.command, output, e.output)
		}
		for i, id := range newIDs {
			ids[id] = match[i+1]
		}
	}
	s.stop(t)
	external.stop(t)
}

// An example is a command of README and its output there.
type example struct{ command, output string }

// parseExamples returns the commands in the console blocks.
func parseExamples(markdown string) (examples []example) {
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(markdown, -1) {
		for text := range strings.SplitSeq(strings.TrimPrefix(block[1], "$ "), "\n$ ") {
			command, output, _ := strings.Cut(text, "\n")
			examples = append(examples, example{command, strings.TrimSuffix(output, "\n")})
		}
	}
	return examples
}

// Texts that differ from run to run: ids, times, the average, ids of requests, and cursors.
var (
	orderID = regexp.MustCompile(`\bORD[0-9A-HJKMNP-TV-Z]{26}\b`)
	instant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)
	varying = []string{orderID.String(), instant.String(), `"avg_process_time":[\d.]+`, `urn:orders:request:[A-Z2-7]{10}-[0-9a-z]+`, `cursor=[\w-]+`}
)

// pattern returns a regular expression for the output of a run. It has a group for each id that is
// not yet known. README shows only some of the headers that curl prints.
func (e example) pattern(known map[string]string) (pattern *regexp.Regexp, unknown []string) {
	var p strings.Builder
	end := 0
	for _, m := range regexp.MustCompile(`(`+strings.Join(varying, `)|(`)+`)`).FindAllStringSubmatchIndex(e.output, -1) {
		p.WriteString(regexp.QuoteMeta(e.output[end:m[0]]))
		end = m[1]
		group := slices.IndexFunc(m[2:], func(i int) bool { return i >= 0 }) / 2
		switch id := e.output[m[0]:m[1]]; {
		case group > 0:
			p.WriteString(varying[group])
		case known[id] != "":
			p.WriteString(known[id])
		default:
			p.WriteString("(" + orderID.String() + ")")
			unknown = append(unknown, id)
		}
	}
	p.WriteString(regexp.QuoteMeta(e.output[end:]))
	if strings.Contains(e.command, " -D - ") {
		return regexp.MustCompile("(?m)^" + p.String() + "$"), unknown
	}
	return regexp.MustCompile(`^` + p.String() + `\n?$`), unknown
}

// checkTimes fails the test unless the times in README are in order, and those of Processing 50 s apart.
func checkTimes(t *testing.T, e example) {
	t.Helper()
	var times []time.Time
	for _, text := range regexp.MustCompile(`_at":"(`+instant.String()+`)"`).FindAllStringSubmatch(e.output, -1) {
		at, err := time.Parse(time.RFC3339, text[1])
		if err != nil {
			t.Error(err)
		}
		times = append(times, at)
	}
	if !slices.IsSortedFunc(times, time.Time.Compare) || len(times) == 3 && times[2].Sub(times[1]) < 50*time.Second {
		t.Errorf("$ %s\nREADME has times that cannot be:\n%s", e.command, e.output)
	}
}
