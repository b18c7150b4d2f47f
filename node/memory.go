package node

import (
	"bytes"
	"os"
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
