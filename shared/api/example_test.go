package api_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"orders/shared/api"
	"orders/shared/order"
	"orders/shared/sqlite"
)

// The handler works with any store and any server.
func ExampleNew() {
	folder, err := os.MkdirTemp("", "orders-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	log := slog.New(slog.DiscardHandler)
	store, err := sqlite.Open(context.Background(), sqlite.Config{
		Path: filepath.Join(folder, "orders.db"), Fulfilment: order.Timer(50 * time.Second),
		Now: time.Now, Random: bufio.NewReader(rand.Reader), Log: log,
	})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	handler := api.New(api.Config{
		Orders: store, Metrics: store, Health: store.Ping, RequestID: rand.Text, Now: time.Now, Log: log,
	})

	body := strings.NewReader(`{"user_id": "anna", "item_ids": ["tea", "tea"], "total_amount": "9.90"}`)
	request := httptest.NewRequest(http.MethodPost, "/api/orders/create/", body)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", "cart-1138")
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	fmt.Println(response.Code, response.Body)
	// Output: 201 {"order_id":"ORDXPNXAYDVDHVEBNEVVWXMQTVVE8","status":"Pending"}
}
