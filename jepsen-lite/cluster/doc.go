// Package cluster runs a real kvorum cluster for tests: `kvorum serve` processes on loopback or where Options.Place says, each with its own data
// folder and log file, that can be killed, paused, terminated and started again. It signals only processes it started
// and asks the cluster only through its HTTP API.
package cluster
