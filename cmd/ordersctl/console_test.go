package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestProgressIsTellingLinesWhereThereIsNoTerminal(t *testing.T) {
	var stderr bytes.Buffer
	p := (&console{stderr: &stderr}).progress("orders read", 0)
	p.add(1)
	if stderr.Len() > 0 {
		t.Errorf("it tells at once: %q", stderr.String())
	}
	p.next = time.Now().Add(-time.Millisecond)
	p.add(2)
	p.add(3)
	p.end()
	if got := stderr.String(); got != "orders read: 3\n" {
		t.Errorf("it tells %q", got)
	}
}

func TestProgressIsABarOnATerminalAlsoBeyondTheGuess(t *testing.T) {
	var screen bytes.Buffer
	p := &progress{console: &console{}, label: "orders read", bar: newBar(&screen, "orders read", 2)}
	for range 5 {
		p.add(1)
		if p.bar.IsFinished() {
			t.Fatalf("the bar is gone after %d of a guessed 2", p.done)
		}
	}
	p.end()
	if got := screen.String(); !strings.Contains(got, "orders read") || !p.bar.IsFinished() {
		t.Errorf("the screen shows %q", got)
	}
}
