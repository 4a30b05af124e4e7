package main

import (
	"os"
	"testing"
)

func TestTheBenchEndsWhenNobodyReadsItsOutput(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	ended := false
	w := endingWriter{out, func() { ended = true }}
	if _, err := w.Write([]byte("round 1")); err != nil || ended {
		t.Errorf("while it is read: error %v, ended %t", err, ended)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("round 2")); err == nil || !ended {
		t.Errorf("when it is not: error %v, ended %t", err, ended)
	}
}
