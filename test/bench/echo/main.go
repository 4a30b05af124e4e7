// Command echo is what the service is measured against: a bare net/http server
// that reads a create and answers it in the service's shape, and does nothing
// else. It has no routes, no timeouts, no checks and no storage.
//
// With -raw it does not even read JSON: the answer is the body of the request.
package main

import (
	"encoding/json/v2"
	"flag"
	"io"
	"log"
	"net/http"
)

type create struct {
	UserID      int64   `json:"user_id"`
	OrderID     string  `json:"order_id"`
	ItemIDs     []int64 `json:"item_ids"`
	TotalAmount float64 `json:"total_amount"`
}

type answer struct {
	OrderID string `json:"order_id"`
	Status  string `json:"status"`
}

// created is as long as an answer of the service.
var created = answer{OrderID: "ORD01ARZ3NDEKTSV4RRFFQ69G5FAV", Status: "Pending"}

func main() {
	addr := flag.String("addr", "127.0.0.1:8001", "host:port to listen on")
	raw := flag.Bool("raw", false, "answer the body as it came")
	flag.Parse()
	handle := echoJSON
	if *raw {
		handle = echoRaw
	}
	log.Fatal(http.ListenAndServe(*addr, http.HandlerFunc(handle)))
}

func echoJSON(w http.ResponseWriter, r *http.Request) {
	var c create
	if err := json.UnmarshalRead(r.Body, &c); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.MarshalWrite(w, created) // an error means that the client has gone
}

func echoRaw(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(body)
}
