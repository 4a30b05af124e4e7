package template

import (
	"encoding/csv"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"orders/tools/cfn"
)

// A recording is what CloudWatch has of a stack: for each metric and each minute the values that were
// reported, none for many a minute. A metric is named as in "Invocations of RelayFunction".
type recording struct {
	minutes int
	values  map[string][][]float64
}

func newRecording(minutes int) recording { return recording{minutes, map[string][][]float64{}} }

// add reports a value. Values after the end are dropped.
func (r recording) add(metric string, minute int, values ...float64) {
	if r.values[metric] == nil {
		r.values[metric] = make([][]float64, r.minutes)
	}
	if minute < r.minutes {
		r.values[metric][minute] = append(r.values[metric][minute], values...)
	}
}

// series is the statistic of a metric, a value a period; only of whole periods.
func (r recording) series(q query) (s series, err error) {
	for start := 0; start+q.period <= r.minutes; start += q.period {
		var all []float64
		if of := r.values[q.metric]; of != nil {
			all = slices.Concat(of[start : start+q.period]...)
		}
		v, err := statistic(q.statistic, all)
		if err != nil {
			return nil, err
		}
		if len(all) < q.leastSamples {
			v = missing
		}
		s = append(s, v)
	}
	return s, nil
}

func statistic(name string, all []float64) (float64, error) {
	if len(all) == 0 {
		return missing, nil
	}
	slices.Sort(all)
	switch percentile, isPercentile := strings.CutPrefix(name, "p"); {
	case name == "Maximum":
		return all[len(all)-1], nil
	case name == "Sum":
		sum := 0.0
		for _, v := range all {
			sum += v
		}
		return sum, nil
	case isPercentile:
		p, err := strconv.ParseFloat(percentile, 64)
		return all[max(0, int(math.Ceil(p/100*float64(len(all))))-1)], err
	default:
		return 0, fmt.Errorf("unsupported statistic %s", name)
	}
}

// A query is a metric of an alarm.
type query struct {
	id, metric, statistic string
	period                int // in minutes
	leastSamples          int // with fewer, there is no value
}

// An alarm is one of template.yaml.
type alarm struct {
	id         string
	queries    []query
	expression string
	evaluator
}

// alarms returns the alarms of a stack. A property that decides when an alarm goes off, and that this
// file does not know, is an error.
func (s *stack) alarms() (all []alarm) {
	s.t.Helper()
	for _, r := range s.resources("AWS::CloudWatch::Alarm") {
		a, err := newAlarm(r)
		if err != nil {
			s.t.Fatalf("%s: %v", r.ID, err)
		}
		all = append(all, a)
	}
	return all
}

func newAlarm(r cfn.Resource) (a alarm, err error) {
	a.id = r.ID
	a.outOf, _ = property(r, "EvaluationPeriods").(int)
	a.datapoints = a.outOf
	if m, ok := property(r, "DatapointsToAlarm").(int); ok {
		a.datapoints = m
	}
	a.missingDataBreaching = property(r, "TreatMissingData") == "breaching"
	threshold, err := strconv.ParseFloat(fmt.Sprint(property(r, "Threshold")), 64)
	if err != nil {
		return a, err
	}
	if property(r, "ComparisonOperator") != "GreaterThanThreshold" {
		return a, fmt.Errorf("unsupported ComparisonOperator %v", property(r, "ComparisonOperator"))
	}
	a.breaches = func(v float64) bool { return v > threshold }
	metrics, isMath := property(r, "Metrics").([]any)
	if !isMath {
		a.expression = "m"
		a.queries = []query{newQuery("m", r.Properties, r.Properties, "Statistic")}
		if p := property(r, "ExtendedStatistic"); p != nil {
			a.queries[0].statistic = fmt.Sprint(p)
			a.queries[0].leastSamples = leastSamples(r, fmt.Sprint(p))
		}
	}
	for _, m := range metrics {
		entry, _ := m.(map[string]any)
		if text, ok := entry["Expression"].(string); ok {
			a.expression = text
			continue
		}
		stat, _ := entry["MetricStat"].(map[string]any)
		metric, _ := stat["Metric"].(map[string]any)
		a.queries = append(a.queries, newQuery(fmt.Sprint(entry["Id"]), metric, stat, "Stat"))
	}
	for _, q := range a.queries {
		if q.period != a.queries[0].period || q.period == 0 {
			return a, fmt.Errorf("its periods are %+v", a.queries)
		}
	}
	return a, nil
}

func newQuery(id string, metric, stat map[string]any, statistic string) query {
	var of []string
	dimensions, _ := metric["Dimensions"].([]any)
	for _, d := range dimensions {
		value := fmt.Sprint(d.(map[string]any)["Value"])
		value, _, _ = strings.Cut(strings.Trim(value, "${}"), ".")
		of = append(of, value)
	}
	seconds, _ := stat["Period"].(int)
	name := strings.TrimSuffix(fmt.Sprint(metric["MetricName"])+" of "+strings.Join(of, " "), " of ")
	return query{id: id, metric: name, statistic: fmt.Sprint(stat[statistic]), period: seconds / 60}
}

// leastSamples is how many values a percentile needs, if the alarm ignores it for fewer:
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html.
func leastSamples(r cfn.Resource, percentile string) int {
	p, err := strconv.ParseFloat(strings.TrimPrefix(percentile, "p"), 64)
	if property(r, "EvaluateLowSampleCountPercentile") != "ignore" || err != nil {
		return 0
	}
	return int(math.Round(10 / (1 - p/100)))
}

// firstOn returns the first minute at whose beginning the alarm is on, -1 if there is none.
func (a alarm) firstOn(r recording) (minute int, err error) {
	metrics := map[string]series{}
	for _, q := range a.queries {
		if metrics[q.id], err = r.series(q); err != nil {
			return -1, fmt.Errorf("%s: %w", a.id, err)
		}
	}
	s, err := evaluate(a.expression, metrics)
	if err != nil {
		return -1, fmt.Errorf("%s: %w", a.id, err)
	}
	for n := 1; n <= len(s); n++ {
		if a.alarms(s[:n]) {
			return n * a.queries[0].period, nil
		}
	}
	return -1, nil
}

// on returns the alarms that a recording raises, and when.
func on(t *testing.T, alarms []alarm, r recording) map[string]int {
	t.Helper()
	raised := map[string]int{}
	for _, a := range alarms {
		minute, err := a.firstOn(r)
		if err != nil {
			t.Fatal(err)
		}
		if minute >= 0 {
			raised[a.id] = minute
		}
	}
	return raised
}

// deployedAlarms are those of template.yaml on AWS, with a processing time.
func deployedAlarms(t *testing.T, source string, processingSeconds int) []alarm {
	t.Helper()
	s := parse(t, source)
	s.setTo("ProcessingTimeSeconds", strconv.Itoa(processingSeconds))
	return s.alarms()
}

func before(end int) func(minute int) bool { return func(minute int) bool { return minute < end } }

// fault is when a shop's fault begins.
const fault = 60

// within is the most minutes from a fault to each alarm that it raises.
type within map[string]int

// A day of a shop raises these alarms, and no others.
type day struct {
	shop shop
	want within
}

// days are good days, which raise nothing, and each fault.
func days() map[string]day {
	all := map[string]day{
		"a busy day":               {shop{orders: every(1, 600)}, nil},
		"a small shop":             {shop{orders: every(7, 1)}, nil},
		"a quiet night":            {shop{orders: every(90, 1)}, nil},
		"a night without an order": {shop{orders: every(1, 0)}, nil},
		// Two orders of two hours are created in the last second of five minutes.
		"orders at the end of periods": {shop{orders: every(35, 1), shift: 4, nextMinute: before(fault)}, nil},
		"long processing":              {shop{orders: every(1, 600), processingMinutes: 15}, nil},
		"a peak that is processed within minutes": {shop{orders: func(minute int) int {
			if minute == fault {
				return 3000
			}
			return 60
		}, capacity: 3000}, nil},

		"the relay has stopped":                  {shop{orders: every(1, 600), relayStops: true}, within{"RelayStopped": 20, "OverdueOrders": 40}},
		"the relay has stopped, in a small shop": {shop{orders: every(30, 1), relayStops: true}, within{"RelayStopped": 100, "OverdueOrders": 40}},
		"the relay has stopped, in a tiny shop":  {shop{orders: every(90, 1), relayStops: true}, within{"OverdueOrders": 60}},
		"the tally has stopped":                  {shop{orders: every(1, 600), tallyStops: true}, within{"TallyStopped": 45}},
		"the tally has stopped, in a tiny shop":  {shop{orders: every(90, 1), tallyStops: true}, within{"TallyStopped": 240}},
		"the tally has stopped, in a small shop": {shop{orders: every(30, 1), tallyStops: true}, within{"TallyStopped": 100}},
		"the relay lags":                         {shop{orders: every(1, 600), relayLags: 3}, within{"RelayBehind": 10, "LateStarts": 20, "LateCompletions": 20}},
		"the tally cannot read a record":         {shop{orders: every(1, 600), tallyBlocked: true}, within{"TallyBlocked": 5, "TallyBehind": 15, "TallyErrors": 5}},

		"the table refuses writes": {shop{orders: every(1, 600), tableDown: 30},
			within{"ApiErrors": 5, "ServerErrors": 2, "UndoneMessages": 20, "QueueBehind": 50, "OverdueOrders": 60}},
		"the processor is too slow": {shop{orders: every(1, 600), capacity: 900},
			within{"LateStarts": 20, "LateCompletions": 20, "QueueBehind": 45, "OverdueOrders": 90}},
		"the processor is too slow, with long processing": {shop{orders: every(1, 600), capacity: 900, processingMinutes: 15},
			within{"LateStarts": 20, "LateCompletions": 80, "QueueBehind": 110, "OverdueOrders": 120}},
		"the processor has stopped": {shop{orders: every(1, 600), capacity: -1}, within{"QueueBehind": 12, "OverdueOrders": 40}},
		"messages are lost":         {shop{orders: every(1, 600), loses: 10}, within{"OverdueOrders": 40}},
		"orders have failed":        {shop{orders: every(1, 600), fails: 1}, within{"FailedOrders": 12}},
		"the check has stopped":     {shop{orders: every(1, 600), checkStops: true}, within{"CheckStopped": 90}},
		"requests are slow":         {shop{orders: every(1, 600), slow: true}, within{"ApiLatency": 5}},
		"a dead letter":             {shop{orders: every(1, 600), deadLetter: true}, within{"DeadLetters": 2, "DeadLetteredMessages": 2}},
	}
	for name, most := range map[string]int{
		"Create": 3, "Status": 3, "Ids": 3, "Metrics": 3, "Transition": 3, "Fallback": 3, "Relay": 3, "Tally": 3, "Processor": 3, "Check": 30,
	} {
		for _, metric := range []string{"Errors", "Throttles"} {
			reported := fmt.Sprintf("%s of %sFunction", metric, name)
			all[reported] = day{shop{orders: every(1, 600), reports: reported}, within{name + metric: most}}
		}
	}
	return all
}

// Each fault raises the alarms that are for it, in time, and no others. A good day raises none.
func TestAlarmsGoOffForTheirFaultsAndNoOthers(t *testing.T) {
	source := readTemplate(t)
	for name, tt := range days() {
		t.Run(name, func(t *testing.T) {
			processing := 50
			if tt.shop.processingMinutes > 0 {
				processing = 60 * tt.shop.processingMinutes
			}
			raised := on(t, deployedAlarms(t, source, processing), tt.shop.record())
			for id, most := range tt.want {
				if at, ok := raised[id]; !ok || at < fault || at > fault+most {
					t.Errorf("%s is on %d minutes after the fault (%t), want %d at most", id, at-fault, ok, most)
				}
			}
			for _, id := range slices.Sorted(maps.Keys(raised)) {
				if _, ok := tt.want[id]; !ok {
					t.Errorf("%s is on at %d, for nothing", id, raised[id])
				}
			}
		})
	}
}

// With workers a message waits for the end of an attempt, and not for the processing time.
func TestAMessageThatWaitsForTheEndOfAnAttemptIsNoBacklog(t *testing.T) {
	s := parse(t, readTemplate(t))
	s.setTo("Fulfilment", "external")
	s.setTo("ProcessingTimeSeconds", "50")
	for timeout, want := range map[string]int{"900": 0, "50": 1} {
		s.setTo("AttemptTimeoutSeconds", timeout)
		raised := on(t, s.alarms(), shop{orders: every(1, 600), processingMinutes: 15}.record())
		if _, behind := raised["QueueBehind"]; len(raised) != want || behind != (want > 0) {
			t.Errorf("with attempts of %s s, the messages of 15 minutes raise %v", timeout, raised)
		}
	}
}

// neverRaised returns the alarms of a template that no fault is for.
func neverRaised(t *testing.T, source string) (ids []string) {
	t.Helper()
	raised := map[string]bool{}
	for _, d := range days() {
		for id := range d.want {
			raised[id] = true
		}
	}
	for _, a := range deployedAlarms(t, source, 50) {
		if !raised[a.id] {
			ids = append(ids, a.id)
		}
	}
	return ids
}

func TestEachAlarmHasAFaultThatRaisesIt(t *testing.T) {
	source := readTemplate(t)
	if ids := neverRaised(t, source); len(ids) > 0 {
		t.Errorf("no fault raises %v", ids)
	}
	renamed := edit{old: "  ApiLatency:", new: "  ApiLateness:"}.apply(t, source)
	if ids := neverRaised(t, renamed); !slices.Equal(ids, []string{"ApiLateness"}) {
		t.Errorf("of a template with the alarm ApiLateness no fault raises %v", ids)
	}
}

// An alarm that is changed so that it would not go off, or always, is found.
func TestTheFaultsFindAlarmsThatAreWrong(t *testing.T) {
	source := readTemplate(t)
	busy := shop{orders: every(1, 600)}
	for _, tt := range []struct {
		edit  edit
		shop  shop
		alarm string
		on    bool
	}{
		{edit{old: "FILL(batches, 0) == 0", new: "batches == 0"}, shop{orders: every(1, 600), relayStops: true}, "RelayStopped", false},
		{edit{old: "DatapointsToAlarm: 3\n      Threshold: 0", new: "DatapointsToAlarm: 1\n      Threshold: 0"}, shop{orders: every(35, 1), shift: 4, nextMinute: before(fault)}, "RelayStopped", true},
		{edit{old: "FILL(created, 0) > 0 AND ", new: ""}, shop{orders: every(90, 1)}, "RelayStopped", true},
		{edit{old: `!Sub "age - ${ProcessingTimeSeconds}"`, new: "age - 0"}, shop{orders: every(1, 600), processingMinutes: 15}, "QueueBehind", true},
		{edit{old: "      Threshold: 300\n", new: "      Threshold: 30000\n"}, shop{orders: every(1, 600), capacity: 900}, "QueueBehind", false},
		{edit{old: "IF(requests > 20, errors / requests, 0)", new: "errors / 100000"}, shop{orders: every(1, 60), tableDown: 30}, "ApiErrors", false},
		{edit{old: "Dimensions: [{ Name: FunctionName, Value: !Ref TallyFunction }] }", new: "Dimensions: [{ Name: FunctionName, Value: !Ref RelayFunction }] }"}, shop{orders: every(1, 600), tallyStops: true}, "TallyStopped", false},
		{edit{old: "EvaluationPeriods: 96", new: "EvaluationPeriods: 12"}, shop{orders: every(90, 1), tallyStops: true}, "TallyStopped", false},
		{edit{old: "EvaluationPeriods: 96\n      DatapointsToAlarm: 3", new: "EvaluationPeriods: 96\n      DatapointsToAlarm: 1"}, shop{orders: every(45, 1), shift: 14, nextMinute: before(fault)}, "TallyStopped", true},
		{edit{old: "FILL(runs, 0) == 0", new: "runs == 0"}, shop{orders: every(1, 600), checkStops: true}, "CheckStopped", false},
		{edit{old: "FILL(runs, 0) == 0", new: "FILL(runs, 0) < 4"}, busy, "CheckStopped", true},
		{edit{old: "MetricName: StartLateness", new: "MetricName: StartsLateness"}, shop{orders: every(1, 600), relayLags: 3}, "LateStarts", false},
		{edit{old: "Threshold: 5000", new: "Threshold: 100"}, busy, "LateStarts", true},
		{edit{old: "MetricName: CompleteLateness", new: "MetricName: CompletionLateness"}, shop{orders: every(1, 600), relayLags: 3}, "LateCompletions", false},
		{edit{old: "EvaluateLowSampleCountPercentile: ignore", new: "EvaluateLowSampleCountPercentile: evaluate"}, shop{orders: every(1, 1)}, "ApiLatency", true},
		{edit{old: "MetricName: OverdueOrders", new: "MetricName: OverdueOrder"}, shop{orders: every(1, 600), loses: 10}, "OverdueOrders", false},
	} {
		processing := 50 + tt.shop.processingMinutes*60
		_, got := on(t, deployedAlarms(t, tt.edit.apply(t, source), processing), tt.shop.record())[tt.alarm]
		_, before := on(t, deployedAlarms(t, source, processing), tt.shop.record())[tt.alarm]
		if got != tt.on || before == tt.on {
			t.Errorf("with %q for %q %s is on: %t, before %t", tt.edit.new, tt.edit.old, tt.alarm, got, before)
		}
	}
	if raised := on(t, deployedAlarms(t, source, 50), busy.record()); len(raised) > 0 {
		t.Errorf("a busy day raises %v", raised)
	}
}

// The recordings are of the emulated deployment of test/awstest, at about ten orders a minute, with
// a second for each minute, and with the sums of what was reported. At the minute fault the named
// function could not be invoked any more, or the table refused all writes.
func TestAlarmsGoOffOnRecordedFaults(t *testing.T) {
	alarms := deployedAlarms(t, readTemplate(t), 1)
	for name, want := range map[string][]string{
		"relay-stopped":        {"RelayStopped"},
		"tally-stopped":        {"TallyStopped"},
		"table-refuses-writes": {"ServerErrors", "UndoneMessages"}, // too few requests for ApiErrors
	} {
		r := readRecording(t, "test/template/testdata/"+name+".csv")
		raised := on(t, alarms, r)
		// The recordings are of the functions, and have no runs of the check.
		delete(raised, "CheckStopped")
		if got := slices.Sorted(maps.Keys(raised)); !slices.Equal(got, want) {
			t.Errorf("%s: on are %v, want %v", name, raised, want)
		}
		for id, at := range raised {
			if at <= fault || at > fault+45 {
				t.Errorf("%s: %s is on at %d, want within 45 minutes of %d", name, id, at, fault)
			}
		}
	}
}

// readRecording reads a table with a column for each metric and a row for each minute.
func readRecording(t *testing.T, file string) recording {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	r := newRecording(len(rows) - 1)
	for minute, row := range rows[1:] {
		for column, text := range row[1:] {
			if text == "" {
				continue
			}
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			r.add(rows[0][column+1], minute, v)
		}
	}
	return r
}
