// Package astmutants makes mutants by rule, where package mutants holds those that people thought of: each changes one place
// of our replicas' code in one of these ways. Which ones is drawn by seed, so nobody chooses what he knows will be found.
//
//	negate     if c {            ->  if !(c) {
//	compare    a < b             ->  a <= b, and so on; == becomes !=
//	logic      a && b            ->  a || b, and back
//	constant   an integer n      ->  n + 1
//	drop       a call or an assignment goes
//	return     a return that ends the block of an if, with code behind that block, goes
//
// What shows in logs and metrics only is left alone, and so are locks: that a race detector finds.
package astmutants
