package docs

import (
	"os"
	"testing"
)

// The tests read files by their paths in the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
