package machine

import (
	"slices"
	"time"

	"github.com/kvorum/kvorum/sim/disk"
)

// function is one host function. Signatures: i is i32, I is i64.
type function struct {
	name            string
	params, results string
	cost            time.Duration // CPU time of a call; roughly what a kernel takes
	call            func(m *Machine, mem Memory, a []uint64) uint64
	number          uint32
}

type hostModule struct {
	name      string
	functions []function
}

const (
	wasi    = "wasi_snapshot_preview1"
	network = "kvorum_network" // see the package network, built for wasip1
	world   = "kvsim"          // imported by the overlay of the toolchain alone, see sim/build
)

// hostModules: all that a Go program can import. What needs no answer of ours says ENOSYS.
func hostModules() []hostModule {
	modules := []hostModule{
		{wasi, []function{
			{name: "args_get", params: "ii", results: "i", call: (*Machine).argsGet},
			{name: "args_sizes_get", params: "ii", results: "i", call: (*Machine).argsSizes},
			{name: "environ_get", params: "ii", results: "i", call: (*Machine).environGet},
			{name: "environ_sizes_get", params: "ii", results: "i", call: (*Machine).environSizes},
			{name: "clock_time_get", params: "iIi", results: "i", cost: 100, call: (*Machine).clockTime},
			{name: "random_get", params: "ii", results: "i", cost: 300, call: (*Machine).randomGet},
			{name: "proc_exit", params: "i", call: (*Machine).procExit},
			{name: "sched_yield", results: "i", cost: 300, call: func(*Machine, Memory, []uint64) uint64 { return 0 }},
			{name: "poll_oneoff", params: "iiii", results: "i", cost: 500, call: (*Machine).poll},
			{name: "fd_close", params: "i", results: "i", cost: 500, call: (*Machine).fdClose},
			{name: "fd_fdstat_get", params: "ii", results: "i", cost: 200, call: (*Machine).fdstatGet},
			{name: "fd_fdstat_set_flags", params: "ii", results: "i", cost: 200, call: (*Machine).fdstatSetFlags},
			{name: "fd_fdstat_set_rights", params: "iII", results: "i", call: unsupported},
			{name: "fd_filestat_get", params: "ii", results: "i", cost: 500, call: (*Machine).filestatGet},
			{name: "fd_filestat_set_size", params: "iI", results: "i", cost: 2000, call: (*Machine).filestatSetSize},
			{name: "fd_pread", params: "iiiIi", results: "i", cost: 2000, call: (*Machine).pread},
			{name: "fd_pwrite", params: "iiiIi", results: "i", cost: 3000, call: (*Machine).pwrite},
			{name: "fd_read", params: "iiii", results: "i", cost: 2000, call: (*Machine).fdRead},
			{name: "fd_write", params: "iiii", results: "i", cost: 3000, call: (*Machine).fdWrite},
			{name: "fd_readdir", params: "iiiIi", results: "i", cost: 2000, call: (*Machine).readdir},
			{name: "fd_seek", params: "iIii", results: "i", cost: 200, call: (*Machine).seek},
			{name: "fd_sync", params: "i", results: "i", cost: 5000, call: (*Machine).sync},
			{name: "fd_prestat_get", params: "ii", results: "i", call: (*Machine).prestatGet},
			{name: "fd_prestat_dir_name", params: "iii", results: "i", call: (*Machine).prestatName},
			{name: "path_create_directory", params: "iii", results: "i", cost: 3000, call: (*Machine).mkdir},
			{name: "path_filestat_get", params: "iiiii", results: "i", cost: 1000, call: (*Machine).pathStat},
			{name: "path_filestat_set_times", params: "iiiiIIi", results: "i", call: unsupported},
			{name: "path_link", params: "iiiiiii", results: "i", call: unsupported},
			{name: "path_open", params: "iiiiiIIii", results: "i", cost: 3000, call: (*Machine).pathOpen},
			{name: "path_readlink", params: "iiiiii", results: "i", call: unsupported},
			{name: "path_remove_directory", params: "iii", results: "i", cost: 3000, call: (*Machine).rmdir},
			{name: "path_rename", params: "iiiiii", results: "i", cost: 3000, call: (*Machine).rename},
			{name: "path_symlink", params: "iiiii", results: "i", call: unsupported},
			{name: "path_unlink_file", params: "iii", results: "i", cost: 3000, call: (*Machine).unlink},
			{name: "sock_accept", params: "iii", results: "i", cost: 3000, call: (*Machine).accept},
			{name: "sock_shutdown", params: "ii", results: "i", cost: 1000, call: (*Machine).shutdown},
		}},
		{network, []function{
			{name: "socket_listen", params: "iii", results: "i", cost: 5000, call: (*Machine).listen},
			{name: "socket_dial", params: "ii", results: "i", cost: 5000, call: (*Machine).dial},
			{name: "socket_connected", params: "i", results: "i", cost: 1000, call: (*Machine).connected},
		}},
		{world, []function{
			{name: "pick", params: "i", results: "i", cost: 0, call: (*Machine).pick},
			{name: "signal", results: "i", cost: 100, call: (*Machine).takeSignal},
			{name: "sync_begin", params: "i", results: "I", cost: 0, call: (*Machine).syncBegin},
		}},
	}
	number := uint32(0)
	for _, module := range modules {
		for i := range module.functions {
			module.functions[i].number = number
			number++
		}
	}
	return modules
}

// hostFunctions are all of them, by number.
func hostFunctions() (list []function) {
	for _, module := range hostModules() {
		list = append(list, module.functions...)
	}
	return list
}

// Functions are the names of all host functions, by their number in the trace.
func Functions() (names []string) {
	for _, f := range hostFunctions() {
		names = append(names, f.name)
	}
	return names
}

// IsFunction reports whether the host function exists.
func IsFunction(name string) bool { return slices.Contains(Functions(), name) }

// FunctionName is the host function of a trace record's number.
func FunctionName(number uint32) string {
	if names := Functions(); int(number) < len(names) {
		return names[number]
	}
	return "world"
}

func unsupported(*Machine, Memory, []uint64) uint64 { return uint64(disk.ENOSYS) }

func u32(a uint64) uint32 { return uint32(a) }

// pick chooses the goroutine that runs next, of n.
func (m *Machine) pick(_ Memory, a []uint64) uint64 {
	if m.Schedule == nil {
		return 0
	}
	x := m.unfair(u32(a[0]), m.Schedule.Uint32N(u32(a[0])))
	if m.Scheduled != nil {
		m.Scheduled.Write([]byte{byte(x), byte(a[0])})
	}
	return uint64(x)
}

// Unfair makes the scheduler prefer goroutines: newest are those that became ready last, so that the others starve while
// there are such; otherwise the oldest, first in first out. chance is how often it does so in place of a fair draw; 0 ends it.
func (m *Machine) Unfair(newest bool, chance float64) { m.newest, m.unfairness = newest, chance }

// Preferred counts picks in which Unfair made another choice than the fair draw.
func (m *Machine) Preferred() uint64 { return m.preferred }

func (m *Machine) unfair(n, fair uint32) uint32 {
	if m.unfairness == 0 {
		return m.mood.pick(m.Schedule, n, fair)
	}
	if m.Schedule.Float64() >= m.unfairness {
		return fair
	}
	chosen := uint32(0)
	if m.newest {
		chosen = n - 1
	}
	if chosen != fair {
		m.preferred++
	}
	return chosen
}

// Signal sends the program a signal, such as SIGTERM. It takes up to 100 ms of the machine's clock to arrive.
func (m *Machine) Signal(number int) { m.signal = uint32(number) }

// takeSignal: () -> the signal sent since the last call, 0 for none.
func (m *Machine) takeSignal(Memory, []uint64) uint64 {
	s := m.signal
	m.signal = 0
	return uint64(s)
}
