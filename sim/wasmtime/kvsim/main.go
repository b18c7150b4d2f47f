// Command kvsim is cmd/kvsim with machines that Wasmtime runs: the same traces, in half the time.
package main

import (
	"github.com/kvorum/kvorum/sim/kvsim"
	"github.com/kvorum/kvorum/sim/wasmtime"
)

func main() { kvsim.Main(wasmtime.New) }
