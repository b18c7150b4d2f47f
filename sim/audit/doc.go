// Package audit reads the data folder of a node off its simulated disk, as the platter has it, and checks it: by itself
// (Image.Problems) and against what was there before (Check). It shares no code with the node; the log file is opened with
// bbolt, after a look at its pages of our own, since bbolt panics in a goroutine of its own on much damage.
package audit
