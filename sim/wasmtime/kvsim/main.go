// Command kvsim is cmd/kvsim with machines that Wasmtime runs: the same traces, in about half the time.
package main

import (
	"runtime"

	"github.com/kvorum/kvorum/sim/kvsim"
	"github.com/kvorum/kvorum/sim/wasmtime"
)

func main() {
	// A world is in C most of the time, which Go's scheduler takes for waiting: with no more processors than worlds it hands each
	// world's to another thread every few microseconds. Two to spare make a campaign a third faster.
	runtime.GOMAXPROCS(runtime.NumCPU() + 2)
	kvsim.Main(wasmtime.New)
}
