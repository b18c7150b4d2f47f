// Package node wires one running node: controller, request handler, router and listeners; start and graceful stop. It has
// no logic of its own. dev.go runs a whole cluster of such nodes in one process.
package node
