package main

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"net/http"
	"strings"
)

// metrics are what GET /api/metrics/ answers.
type metrics struct {
	Total        int64            `json:"total_orders"`
	StatusCounts map[string]int64 `json:"status_counts"`
}

func (m metrics) unfinished() int64 { return m.Total - m.StatusCounts["Completed"] }

func (s *server) metrics(ctx context.Context) (m metrics, err error) {
	_, err = s.query(ctx, "/api/metrics/", &m)
	return m, err
}

// page returns the ids of a page and the path of the next one, "" on the last.
func (s *server) page(ctx context.Context, path string) (ids []string, next string, err error) {
	var entries []struct {
		OrderID string `json:"order_id"`
	}
	header, err := s.query(ctx, path, &entries)
	for _, e := range entries {
		ids = append(ids, e.OrderID)
	}
	if query, _, more := strings.Cut(strings.TrimPrefix(header.Get("Link"), "<"), ">"); more {
		next = "/api/orders/ids/" + query
	}
	return ids, next, err
}

// query reads a path where time does not matter.
func (s *server) query(ctx context.Context, path string, v any) (http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.addr+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, res.Status)
	}
	if err := json.UnmarshalRead(res.Body, v); err != nil {
		return nil, fmt.Errorf("GET %s: %w", path, err)
	}
	return res.Header, nil
}
