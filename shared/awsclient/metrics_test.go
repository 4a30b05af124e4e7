package awsclient_test

import (
	"bytes"
	"encoding/json/v2"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"orders/shared/awsclient"
)

// The form is that of the embedded metric format; see
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
func TestALogLineIsARecordOfMetrics(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).LogAttrs(t.Context(), slog.LevelInfo, "done", awsclient.Metrics(time.UnixMilli(1700), "TableName", "orders",
		awsclient.Metric{Name: "One", Unit: "Count", Values: []int64{7}},
		awsclient.Metric{Name: "None", Unit: "Count"},
		awsclient.Metric{Name: "Many", Unit: "Milliseconds", Values: []int64{1, 2, 3}})...)
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	delete(line, "time")
	want := map[string]any{
		"level": "INFO", "msg": "done", "TableName": "orders", "One": 7.0, "Many": []any{1.0, 2.0, 3.0},
		"_aws": map[string]any{"Timestamp": 1700.0, "CloudWatchMetrics": []any{map[string]any{
			"Namespace": "Orders", "Dimensions": []any{[]any{"TableName"}},
			"Metrics": []any{map[string]any{"Name": "One", "Unit": "Count"}, map[string]any{"Name": "Many", "Unit": "Milliseconds"}},
		}}},
	}
	if !reflect.DeepEqual(line, want) {
		t.Errorf("logged %s", log.Bytes())
	}
}

// CloudWatch ignores a line that has more values of a metric than 100.
func TestALineHasAHundredValuesOfAMetricAtMost(t *testing.T) {
	m := awsclient.Metric{Name: "m", Unit: "Count", Values: make([]int64, 250)}
	for _, want := range []int{100, 100, 50, 0} {
		if got := m.Cut(); len(got.Values) != want || got.Name != "m" || got.Unit != "Count" {
			t.Errorf("cut %d values of %s in %s, want %d", len(got.Values), got.Name, got.Unit, want)
		}
	}
}
