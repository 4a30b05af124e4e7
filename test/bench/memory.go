package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// A memory is the highest resident memory that any of several servers has had.
type memory struct {
	megabytes float64
	err       error // why it is not known
}

// watch takes a server into account, with its peak up to now. That is VmHWM in
// Linux's /proc/PID/status; elsewhere the memory stays unknown.
func (m *memory) watch(s *server) {
	megabytes, err := processMemory(s.cmd.Process.Pid, "VmHWM:")
	m.megabytes = max(m.megabytes, megabytes)
	if err != nil {
		m.err = err
	}
}

// row is the line of the report about it.
func (m *memory) row(when string, limit float64) row {
	r := row{Name: "peak resident memory " + when, Measured: fmt.Sprintf("%.0f MB", m.megabytes)}
	if m.err != nil {
		r.Measured = "not measured: it takes Linux's /proc"
		return r
	}
	r.Goal, r.Value = atMost(limit, "MB"), m.megabytes
	return r
}

// processMemory is a line of /proc/PID/status in megabytes (10^6 bytes): VmRSS: is
// the resident memory now, VmHWM: the most there has been.
func processMemory(pid int, name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == name {
			kibibytes, err := strconv.ParseFloat(string(fields[1]), 64)
			return kibibytes * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/status has no %s", pid, name)
}
