//go:build !linux

package sqlite

import "os"

func runIdle(fn func()) { fn() }

func flush(file *os.File) error { return file.Sync() }
