package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// loadReport has what was measured under load; bench/results.md has the rest.
func loadReport(_ evidence, folder string) (string, error) {
	root := filepath.Join(folder, "..", "..")
	users, err := result[load](folder, "load.json")
	if err != nil {
		return "", err
	}
	all, err := result[benchmarks](filepath.Join(root, "bench"), "results.json")
	if err != nil {
		return "", err
	}
	soak, err := result[benchmark](filepath.Join(root, "bench"), "soak.json")
	if err != nil {
		return "", err
	}
	return strings.Join([]string{
		"### Users: `make load`", users.markdown(),
		"### Rates up to saturation: `make bench`", all.of("rates").markdown(),
		plotOf(root, "Latency of a create against the rate at which creates are sent", "latency.svg"),
		"### A long run: `make soak`", soak.markdown(),
		plotOf(root, "Memory, latency and file size in the long run", "soak.svg"),
	}, "\n\n"), nil
}

const notMeasured = "Not measured yet."

// load is the file load.json, of Locust's users.
type load struct {
	Date                string  `json:"date"`
	Processors          int     `json:"processors"`
	Users               int     `json:"users"`
	Seconds             float64 `json:"seconds"`
	Requests            int     `json:"requests"`
	Failures            int     `json:"failures"`
	PerSecond           float64 `json:"per_second"`
	P50                 float64 `json:"p50_ms"`
	P95                 float64 `json:"p95_ms"`
	P99                 float64 `json:"p99_ms"`
	Max                 float64 `json:"max_ms"`
	Orders              int     `json:"orders"`
	Lost                int     `json:"lost"`
	Twice               int     `json:"twice"`
	Late                int     `json:"late"`
	MetricsEqualRecount bool    `json:"metrics_equal_recount"`
	LongestLife         float64 `json:"longest_life_seconds"`
	ProcessingTime      float64 `json:"processing_time_seconds"`
}

func (l *load) markdown() string {
	if l == nil {
		return notMeasured
	}
	recount := "equal"
	if !l.MetricsEqualRecount {
		recount = "**do not equal**"
	}
	return fmt.Sprintf(`| what | measured |
|---|---|
| users | %d for %.0f s |
| requests | %d, %.0f a second, %d failed |
| latency | p50 %.0f ms, p95 %.0f ms, p99 %.0f ms, longest %.0f ms |
| orders | %d acknowledged: %d lost, %d there twice, %d late |
| longest life of an order | %.1f s, of which processing takes %.0f s |
| metrics | %s the recount of all orders |

Measured %s. %s`,
		l.Users, l.Seconds, l.Requests, l.PerSecond, l.Failures, l.P50, l.P95, l.P99, l.Max,
		l.Orders, l.Lost, l.Twice, l.Late, l.LongestLife, l.ProcessingTime, recount, l.Date, shared(l.Processors))
}

// shared says who shares the processors, without which no rate means anything.
func shared(processors int) string {
	switch processors {
	case 0:
		return "Clients and service share the processors of one machine."
	case 1:
		return "Clients and service share **one processor**: what one takes, the other lacks."
	default:
		return fmt.Sprintf("Clients and service share %d processors.", processors)
	}
}

// plotOf shows a plot that the benchmarks have drawn.
func plotOf(root, title, file string) string {
	if _, err := os.Stat(filepath.Join(root, "docs", file)); err != nil {
		return title + ": not drawn yet."
	}
	return fmt.Sprintf("![%s](%s)", title, file)
}
