//go:build !unix

package sqlite

import "io/fs"

const noFollow = 0

func linkCount(fs.FileInfo) uint64 { return 1 }

func chownLike(string, string) error { return nil }

func sameGroup(fs.FileInfo, fs.FileInfo) bool { return true }
