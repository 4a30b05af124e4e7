package awsclient

import (
	"log/slog"
	"time"
)

// maxValues is how many values of one metric a log line may have; see
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html.
const maxValues = 100

// A Metric is an attribute of a log line that CloudWatch also takes for values of a metric.
type Metric struct {
	Name string
	// Unit is one of CloudWatch's, such as Count or Milliseconds.
	Unit string
	// Values are at most 100.
	Values []int64
}

// Cut moves the first values of a metric, as many as a log line may have, to the metric that it
// returns.
func (m *Metric) Cut() Metric {
	n := min(len(m.Values), maxValues)
	first := Metric{m.Name, m.Unit, m.Values[:n]}
	m.Values = m.Values[n:]
	return first
}

// Metrics returns the attributes that make a log line a record of metrics (the embedded metric
// format): in the namespace Orders, with one dimension. It costs no call. A metric without values is
// left out. The line must have a level that the functions keep: the template's LogLevel allows INFO
// and DEBUG.
func Metrics(now time.Time, dimension, value string, metrics ...Metric) []slog.Attr {
	attrs := []slog.Attr{slog.String(dimension, value)}
	var definitions []map[string]string
	for _, m := range metrics {
		switch len(m.Values) {
		case 0:
			continue
		case 1:
			attrs = append(attrs, slog.Int64(m.Name, m.Values[0]))
		default:
			attrs = append(attrs, slog.Any(m.Name, m.Values))
		}
		definitions = append(definitions, map[string]string{"Name": m.Name, "Unit": m.Unit})
	}
	return append(attrs, slog.Any("_aws", map[string]any{
		"Timestamp": now.UnixMilli(),
		"CloudWatchMetrics": []any{map[string]any{
			"Namespace":  "Orders",
			"Dimensions": [][]string{{dimension}},
			"Metrics":    definitions,
		}},
	}))
}
