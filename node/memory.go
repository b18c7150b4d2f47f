package node

import (
	"bytes"
	"math"
	"os"
	"runtime/debug"
	"strconv"
)

// fallbackMemory is assumed where nothing tells how much there is.
const fallbackMemory = 2 << 30

// AvailableMemory is the memory limit of this container, or else the machine's memory, in bytes.
func AvailableMemory() uint64 {
	limit := uint64(0)
	for _, path := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		if n, ok := readNumber(path); ok && (limit == 0 || n < limit) {
			limit = n
		}
	}
	machine := machineMemory()
	if limit == 0 || (machine != 0 && machine < limit) {
		limit = machine
	}
	if limit == 0 {
		return fallbackMemory
	}
	return limit
}

// MemoryQuotaFor leaves room beside the rows: for the garbage collector, requests in flight, a snapshot being restored
// aside, and the page cache of the log.
func MemoryQuotaFor(memory uint64) uint64 { return memory / 3 }

// Settings of the garbage collector for a process that serves.
const (
	gcPercent    = 300       // live memory is small beside what requests pass through it: collect after 3 times as much
	gcBesideRows = 128 << 20 // bytes that the limit leaves for all that the quota does not count
)

// TuneCollector sets the garbage collector for a process whose memory quota is quota (0: MemoryQuotaFor what there is). It
// runs seldom while there is room, and more often from 9/4 of the quota on, whatever the percentage: rows, a restore aside
// and garbage fit below. What GOGC and GOMEMLIMIT say in the environment stays as it is. It belongs to the process, so only
// main functions (and benchmarks) call it.
func TuneCollector(quota uint64) {
	if quota == 0 {
		quota = MemoryQuotaFor(AvailableMemory())
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(collectorLimit(quota))
	}
}

// collectorLimit is 9/4 of the quota (three quarters of the memory, where the quota is a third), and room beside it.
func collectorLimit(quota uint64) int64 {
	if quota > math.MaxInt64/4 {
		return math.MaxInt64
	}
	return int64(quota/4*9) + gcBesideRows
}

func readNumber(path string) (uint64, bool) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(raw)), 10, 64) // "max" is no number: no limit
	return n, err == nil
}

func machineMemory() uint64 {
	raw, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for _, line := range bytes.Split(raw, []byte("\n")) {
		fields := bytes.Fields(line)
		if len(fields) >= 2 && string(fields[0]) == "MemTotal:" {
			if kib, err := strconv.ParseUint(string(fields[1]), 10, 64); err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
