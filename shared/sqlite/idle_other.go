//go:build !linux

package sqlite

import "os"

// runIdle runs fn at normal priority.
func runIdle(fn func()) { fn() }

// flush makes the disk write the content of the file so far, and waits for it.
func flush(file *os.File) error { return file.Sync() }
