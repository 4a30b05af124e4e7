package main

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// shortened stands in for the 50 seconds of README. Everything that README does
// while two orders are Processing must fit into it.
const shortened = 2 * time.Second

func TestReadmeShowsWhatTheServiceAnswers(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples, err := examplesIn(string(readme))
	if err != nil {
		t.Fatalf("README.md: %v", err)
	}
	documented, err := time.ParseDuration(processingTimeSetting.fallback)
	if err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(t.TempDir(), "orders.db")
	s := startService(t, "--addr", "127.0.0.1:0", "--db", db, "--processing-time", shortened.String())
	defer func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}()
	n := &newcomer{service: s, documented: documented, ids: map[string]string{}}
	for _, e := range examples {
		n.try(t, e)
	}
}

// An example is a command and what README says that it prints.
type example struct{ command, printed string }

// examplesIn returns the examples of all console blocks, in their order.
func examplesIn(markdown string) (list []example, err error) {
	const begin, end, prompt = "```console", "```", "$ "
	inside, commands := false, 0 // in this block
	for line := range strings.Lines(markdown) {
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, prompt)
		switch {
		case inside && isCommand:
			list = append(list, example{command: command})
			commands++
		case isCommand:
			return nil, fmt.Errorf("there is a command outside of the console blocks: %s", line)
		case !inside:
			inside, commands = line == begin, 0
		case line == end:
			inside = false
		case commands == 0:
			return nil, fmt.Errorf("no command has printed %s", line)
		default:
			list[len(list)-1].printed += line + "\n"
		}
	}
	if inside || len(list) == 0 {
		return nil, errors.New("there is no console block with a command, or one has no end")
	}
	for i := range list {
		list[i].printed = strings.TrimSuffix(list[i].printed, "\n")
	}
	return list, nil
}

// A newcomer types README's commands, one after the other.
type newcomer struct {
	service    *service
	documented time.Duration     // the processing time that README speaks of
	ids        map[string]string // README's ids, and those that orders have here
}

var orderID = regexp.MustCompile(`\bORD[0-9A-HJKMNP-TV-Z]{26}\b`)

// try fails the test unless the command prints what README says.
func (n *newcomer) try(t *testing.T, e example) {
	t.Helper()
	for _, id := range orderID.FindAllString(e.command, -1) {
		if n.ids[id] == "" {
			t.Fatalf("$ %s\nasks for an order that no answer has named", e.command)
		}
	}
	command, err := readCurl(n.here(e.command))
	if err != nil {
		t.Fatalf("$ %s\n%v", e.command, err)
	}
	got := n.execute(t, e, command)
	n.learnIDs(e.printed, got.body, command.header.Get("Idempotency-Key") != "")
	checkTimes(t, e, e.printed, n.documented)
	checkTimes(t, e, got.body, shortened)

	want := n.here(e.printed)
	if command.showsHead {
		head, body, _ := strings.Cut(want, "\n\n")
		checkHead(t, e, strings.Split(head, "\n"), got.head)
		want = body
	}
	if masked(got.body) != masked(want) {
		t.Errorf("$ %s\nprints\n%s\nREADME has\n%s", e.command, got.body, want)
	}
}

// checkHead fails the test unless the headers that README shows are among those
// that came.
func checkHead(t *testing.T, e example, want, got []string) {
	t.Helper()
	for _, line := range want {
		if !slices.ContainsFunc(got, func(have string) bool { return masked(have) == masked(line) }) {
			t.Errorf("$ %s\nprints the headers\n%s\nREADME has among them\n%s", e.command, strings.Join(got, "\n"), line)
		}
	}
}

// execute runs the command. One that only reads is run until it shows the
// statuses that README shows, for orders are worked on in the background.
func (n *newcomer) execute(t *testing.T, e example, command curlCommand) (got printout) {
	t.Helper()
	if command.method != http.MethodGet {
		return n.send(t, command)
	}
	waitFor(t, fmt.Sprintf("$ %s\nshows %v", e.command, statusesIn(e.printed)), func() bool {
		got = n.send(t, command)
		return slices.Equal(statusesIn(got.body), statusesIn(e.printed))
	})
	return got
}

func (n *newcomer) send(t *testing.T, command curlCommand) printout {
	t.Helper()
	got, err := command.run(t.Context(), n.service)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var statusOrCount = regexp.MustCompile(`"(?:status|Pending|Processing|Completed)":(?:"\w+"|\d+)`)

func statusesIn(text string) []string { return statusOrCount.FindAllString(text, -1) }

// learnIDs notes which order is meant by an id that README prints for the first
// time. The id that an idempotency key gives is the same everywhere.
func (n *newcomer) learnIDs(printed, answer string, keyed bool) {
	given := orderID.FindAllString(answer, -1)
	for i, id := range orderID.FindAllString(printed, -1) {
		switch {
		case n.ids[id] != "":
		case keyed:
			n.ids[id] = id
		case i < len(given) && !slices.Contains(slices.Collect(maps.Values(n.ids)), given[i]):
			n.ids[id] = given[i]
		}
	}
}

// here is a text of README's with the ids that its orders have here.
func (n *newcomer) here(text string) string {
	return orderID.ReplaceAllStringFunc(text, func(id string) string {
		if known, ok := n.ids[id]; ok {
			return known
		}
		return id
	})
}

// What differs from run to run besides the ids of orders. Its form is checked by
// the patterns, and what times must be by checkTimes.
var (
	instant   = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"`)
	average   = regexp.MustCompile(`"avg_process_time":(\d+(?:\.\d+)?)`)
	requestID = regexp.MustCompile(`"urn:orders:request:[A-Z2-7]{10}-[0-9a-z]+"`)
	cursor    = regexp.MustCompile(`cursor=[\w-]+>`)
)

// masked is the text with a placeholder for all that may differ.
func masked(text string) string {
	for _, pattern := range []*regexp.Regexp{instant, average, requestID, cursor} {
		text = pattern.ReplaceAllLiteralString(text, "<"+pattern.String()+">")
	}
	return text
}

// checkTimes makes sure that an order's times do not run backwards, and that no
// order is Processing for less than the processing time.
func checkTimes(t *testing.T, e example, text string, processing time.Duration) {
	t.Helper()
	var times []time.Time // created, started, completed, as far as they are set
	for _, quoted := range instant.FindAllString(text, -1) {
		at, err := time.Parse(time.RFC3339, strings.Trim(quoted, `"`))
		if err != nil {
			t.Errorf("$ %s\nprints %v", e.command, err)
		}
		times = append(times, at)
	}
	if !slices.IsSortedFunc(times, time.Time.Compare) || len(times) == 3 && times[2].Sub(times[1]) < processing {
		t.Errorf("$ %s\nprints times that cannot be with %s of processing:\n%s", e.command, processing, text)
	}
	for _, match := range average.FindAllStringSubmatch(text, -1) {
		if seconds, err := strconv.ParseFloat(match[1], 64); err != nil || seconds < processing.Seconds() {
			t.Errorf("$ %s\nprints an average below %s of processing:\n%s", e.command, processing, text)
		}
	}
}
