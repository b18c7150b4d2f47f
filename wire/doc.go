// Package wire holds what server, client and checker must agree on: header names, the outcome of an operation, the
// table of problem codes, and the JSON bodies of the HTTP API. It imports nothing of ours and starts nothing.
package wire
