// Package wasm builds a program of this module for GOOS=wasip1 GOARCH=wasm. Two modules that kvorum's log needs do not
// compile there as published; they are patched in copies, so the module cache and go.mod stay as they are:
//
//	module cache -> <work>/modules-<hash>/<module>   copied and patched once, then reused
//	go.mod       -> <work>/<hash>.mod                plus replace lines to the copies, given to go build as -modfile
//
// Who needs more of it than kvorum itself, like a simulator, adds patches, replace lines or an overlay to Config.
package wasm
