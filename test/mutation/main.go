// Command mutation shows that the tests notice when a protection is taken out of the code. Each
// mutant is the code without one protection, and names the test that must fail. Run it from the
// root of the module:
//
//	go run ./test/mutation             run the test of each mutant
//	go run ./test/mutation -only F7    only mutants against that fault, or whose name or file matches
//	go run ./test/mutation -short      one mutant for each fault and deployment, for continuous integration
//
// The tree is never touched: the compiler is given the mutated file in place of the original.
//
// It exits with 1 when a test passes on its mutant.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := mutate(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}
