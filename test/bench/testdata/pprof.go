package main

import (
	"log"
	"net/http"
	_ "net/http/pprof" // serves /debug/pprof/ on the default mux
	"os"
)

// The build for -profile lays this file over cmd/orders, so that the service
// itself has no way to be profiled from outside.
func init() {
	go func() { log.Print(http.ListenAndServe(os.Getenv("BENCH_PPROF_ADDR"), nil)) }()
}
