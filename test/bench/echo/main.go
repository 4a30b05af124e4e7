// Command echo is the server that the service is compared with: a bare net/http server that reads a
// create, writes a response in the service's shape, and does nothing else. It has no routes, no
// timeouts, no checks and no storage.
package main

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"log"
	"net"
	"net/http"
)

type create struct {
	UserID      int64   `json:"user_id"`
	OrderID     string  `json:"order_id"`
	ItemIDs     []int64 `json:"item_ids"`
	TotalAmount float64 `json:"total_amount"`
}

type response struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
}

// created is as long as a response of the service.
var created = response{OrderID: "ORD01ARZ3NDEKTSV4RRFFQ69G5FAV", Status: "Pending"}

func main() {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("echo listens on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, http.HandlerFunc(echo)))
}

func echo(w http.ResponseWriter, r *http.Request) {
	var c create
	if err := json.UnmarshalRead(r.Body, &c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.MarshalWrite(w, created) // an error means that the client has gone
}
