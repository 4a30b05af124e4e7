package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"time"
)

// conditions are what a measurement holds for.
type conditions struct {
	Date    string `json:"date"`
	Go      string `json:"go"`
	Machine string `json:"machine"`
	Form    string `json:"form"` // "full" or "short"
}

func currentConditions(form string) conditions {
	return conditions{
		Date: time.Now().UTC().Format(time.DateOnly),
		Go:   runtime.Version(),
		Machine: fmt.Sprintf("%s, GOMAXPROCS %d, %s/%s",
			processor(), runtime.GOMAXPROCS(0), runtime.GOOS, runtime.GOARCH),
		Form: form,
	}
}

func (c conditions) String() string {
	return fmt.Sprintf("Measured %s in %s form; %s; %s.", c.Date, c.Form, c.Go, c.Machine)
}

// processor is what Linux calls the processor, elsewhere nothing in particular.
func processor() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // optional
	for line := range bytes.Lines(info) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return "unknown processor"
}
