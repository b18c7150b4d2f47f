// Command kvsim runs kvorum in simulated worlds: the very program that serves, with faults drawn from a seed.
package main

import "github.com/kvorum/kvorum/sim/kvsim"

func main() { kvsim.Main(nil) }
