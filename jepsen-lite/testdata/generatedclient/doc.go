// Command generatedclient drives a kvorum cluster with a client that was generated from wire/openapi.yaml, and compares each reply
// with what must come. TestGeneratedClient generates package kvorum afresh into a copy of this folder; it is not kept.
//
//	generatedclient URL whole      every operation of the description, and each refusal that a healthy cluster gives
//	generatedclient URL health     only what this node says of itself
//	generatedclient URL no-quorum  what a shard without a majority answers: shard 1
//
// Each request is one line on standard output: operation, status, and "wrong: ..." if it is not what must come.
package main
