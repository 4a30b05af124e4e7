package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A guard is a piece of the code that a promise depends on, and the mutation that takes
// it out: the old text becomes the new, and then the test must fail.
type mutant struct {
	name  string // what it sees to, and what no other guard is called
	holds string // the faults and invariants that it is there for: "F7 I4"
	file  string
	old   string // exactly as it stands in the file, once
	new   string // what the code would be like without the guard; it compiles

	pkg   string        // the folder of the test, "" when it is that of the file
	test  string        // as go test -run takes it, its first part being the whole name
	rapid bool          // whether the test draws histories, which would be shrunk and kept
	chaos bool          // whether it plays random histories, which is given chaosTime
	limit time.Duration // for the test to notice; 0 means patience
}

const (
	patience = 90 * time.Second
	// chaosTime is less than a minute: from that on TestChaos fails, too, when it has
	// not met each of its faults.
	chaosTime = 55 * time.Second
)

// guards lists them all, in the order in which an order meets them.
func mutants() []mutant {
	return slices.Concat(
		apiMutants, orderMutants, processMutants,
		sqliteCreateMutants, sqliteRowMutants, sqliteWorkMutants, sqliteFileMutants, backupMutants, diskMutants,
		serverMutants, docsMutants,
		lambdaMutants, clientMutants, storeMutants, listMutants, relayMutants, tallyMutants,
		queueMutants, receiverMutants, redriveMutants, reconcileMutants, networkMutants, chaosMutants,
	)
}

// folder is that of the test, from the root of the module.
func (g mutant) folder() string {
	if g.pkg != "" {
		return g.pkg
	}
	return path.Dir(g.file)
}

// homes are those that lose the guard with the mutation and whose test notices.
func (g mutant) homes() []home {
	return slices.DeleteFunc(homesOf(g.file), func(h home) bool { return !slices.Contains(homesOf(g.folder()+"/"), h) })
}

// testName is the name of the test function.
func (g mutant) testName() string {
	name, _, _ := strings.Cut(g.test, "/")
	return name
}

// without returns the text of the guard's file without the guard. It returns an error
// when the guard is not found, or not only once: then the list is out of date.
func (g mutant) without(root string) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(g.file)))
	if err != nil {
		return nil, fmt.Errorf("guard %q: %w", g.name, err)
	}
	if n := strings.Count(string(source), g.old); n != 1 {
		return nil, fmt.Errorf("guard %q: its text is %d times in %s, not once", g.name, n, g.file)
	}
	return []byte(strings.Replace(string(source), g.old, g.new, 1)), nil
}
