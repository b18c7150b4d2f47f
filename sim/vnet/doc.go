// Package vnet is the simulator's network: hosts with names, and byte streams between them that behave as TCP does seen from
// a program. Bytes arrive in order and intact, or not at all; a lost packet costs time (retransmission with doubling waits),
// a cut link costs more of it, and at last the connection. A peer that lost its memory answers with a reset; one that is
// down does not answer. Both directions of a pair of hosts are links of their own, with delays, losses and cuts of their own.
//
// Duplicated, reordered or corrupted packets do not exist here: TCP hides the first two and checks for the third.
package vnet
