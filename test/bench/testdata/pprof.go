package main

import (
	"log"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// The build for -profile adds this file to cmd/orders: it writes a CPU profile from the start of the
// service until SIGTERM.
func init() {
	file, err := os.Create(os.Getenv("BENCH_PROFILE"))
	if err == nil {
		err = pprof.StartCPUProfile(file)
	}
	if err != nil {
		log.Fatal(err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		pprof.StopCPUProfile()
	}()
}
