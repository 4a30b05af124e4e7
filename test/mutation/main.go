// Command proof shows that each guard in the code is needed, and writes down what
// shows that the service survives its faults. Run it from the root of the module:
//
//	go run ./proof mutate             take out each guard in turn and see its test fail
//	go run ./proof mutate -only F7    only those that hold against that fault, or whose name or file matches
//	go run ./proof mutate -short      one guard for each fault and home, for continuous integration
//	go run ./proof page               write the generated parts of docs/proof.md
//
// What mutate finds, it keeps in proof/results/mutations.json, from where page takes it.
// The tree is never touched: the compiler is given the file without the guard in the place
// of the one in the tree.
//
// It exits with 1 when a guard can be taken out without a test that notices, and when a
// fault or an invariant has no test, or no guard that was shown to be needed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "proof:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "mutate":
		return mutate(ctx, args, out)
	case "page":
		return writePage(".")
	default:
		return errors.New("the command is missing: mutate or page")
	}
}
