package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	// functionStarts is how often each function is started.
	functionStarts = 200
	// functionSize is in megabytes (10^6 bytes): what is larger takes longer to load.
	functionSize = 9
)

func (b *bench) measureFunctions(ctx context.Context) (section, error) {
	sec := section{
		How: fmt.Sprintf(`Lambda functions built as they are deployed. Sizes are of the programs for arm64, not compressed. A start is
from the exec to the first request for an event from a Runtime API on this machine, for %s; opening a connection
to AWS, which goes to the same place, is in it. Each function takes turns with one that does nothing
(test/bench/empty); the medians of %d starts each.`, runtime.GOARCH, functionStarts),
	}
	sizes, err := b.sizeRow(ctx)
	if err != nil {
		return sec, err
	}
	sec.Rows = append(sec.Rows, sizes)
	starts, err := b.functionStartRow(ctx)
	if err != nil {
		return sec, err
	}
	sec.Rows = append(sec.Rows, starts)
	return sec, nil
}

func (b *bench) sizeRow(ctx context.Context) (row, error) {
	folder, err := buildFunctions(ctx, b.dir, "arm64")
	if err != nil {
		return row{}, err
	}
	r := row{Name: "size of the largest Lambda function", Goal: atMost(functionSize, "MB")}
	var each []string
	for _, name := range functionNames {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			return row{}, err
		}
		megabytes := float64(info.Size()) / 1e6
		r.Value = max(r.Value, megabytes)
		each = append(each, fmt.Sprintf("%s %.1f", name, megabytes))
	}
	r.Measured = strings.Join(each, ", ") + " MB"
	b.say("  %s: %s", r.Name, r.Measured)
	return r, nil
}

func (b *bench) functionStartRow(ctx context.Context) (row, error) {
	folder, err := buildFunctions(ctx, b.dir, runtime.GOARCH)
	if err != nil {
		return row{}, err
	}
	var ratios []float64
	var each []string
	for _, name := range functionNames {
		own, empty, err := startInTurn(ctx, folder, name)
		if err != nil {
			return row{}, err
		}
		ratios = append(ratios, own/empty)
		each = append(each, fmt.Sprintf("%s %.1f ms (%.1f)", name, own, empty))
	}
	r := ratioRow("start of the slowest Lambda function ÷ an empty one", atMost(1.8, ""), slices.Max(ratios), "%s", strings.Join(each, ", "))
	b.say("  %s: %.2f; %s", r.Name, r.Value, r.Measured)
	return r, nil
}

// startInTurn returns the median milliseconds that a function and the empty one
// take to start.
func startInTurn(ctx context.Context, folder, name string) (own, empty float64, err error) {
	api, err := startRuntimeAPI(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, api.stop()) }()
	took := map[string][]float64{}
	for range functionStarts {
		for _, program := range []string{"empty", name} {
			d, err := api.startFunction(ctx, filepath.Join(folder, program))
			if err != nil {
				return 0, 0, err
			}
			took[program] = append(took[program], milliseconds(d))
		}
	}
	return median(took[name]), median(took["empty"]), nil
}
