// Package netns gives each process a network of its own that can be cut: one network namespace per member, all on a bridge
// that lives in a namespace too, the switch. Every packet from one member to another goes over the switch, so that is the
// one place for directed cuts, loss and slow links; no rule or bridge of the machine is touched. (A bridge in the machine's
// own namespace would be subject to its firewall: Docker, for one, lets nothing through it.) The machine itself is one more
// member, Host, over one interface, so that clients and proxies need not live in a namespace.
//
// A cut drops packets without a word, as a broken network does: nothing is refused, connections hang. Only IPv4 is
// dropped, ARP passes: else a cut in one direction would end the other one as well, as soon as an address is forgotten.
// Every fault has counters of its own, and Reaches sends a datagram from one member to another: a proof, for each
// direction, that a cut is a cut and that its end is its end.
//
// It needs Linux, root, and the programs ip, tc (iproute2), nft (nftables) and nsenter (util-linux). A guardian process
// removes everything should this process die.
package netns
