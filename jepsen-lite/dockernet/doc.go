// Package dockernet makes the network of containers bad, as netns does that of processes. It needs no root on this machine and
// no tool in the containers: for each change a container of its own image (make nettools) is run that shares the network of the
// victim, may configure that and nothing else, and is removed as soon as it has written the rules. So the containers that are
// struck stay as hardened as they are.
//
// Packets are dropped where they arrive, without a word, by the address from which they come: single directions between single
// members can be cut, and nobody else notices, not clients and not HAProxy. Only IPv4 is dropped. Behind each rule that drops
// stands one that counts what has passed: of a cut it must have counted nothing, from its first moment to its last.
package dockernet
