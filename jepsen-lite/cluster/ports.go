package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"

	"github.com/kvorum/kvorum/network"
)

// Ports are taken from below the range from which kernels take the ports of outgoing connections (Linux: from 32768):
// there a node that is down could find its port taken by some connection when it comes back.
const (
	lowestPort  = 15000
	highestPort = 32000
)

func address(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func loopback(port int) string { return address("127.0.0.1", port) }

// freePorts finds n different ports that nobody listens on now.
func freePorts(n int) (ports []int, err error) {
	var held []net.Listener
	defer func() {
		for _, l := range held {
			err = errors.Join(err, l.Close())
		}
	}()
	for range 100 * n {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		l, err := network.Listen(context.Background(), loopback(port))
		if err != nil {
			continue // taken
		}
		held = append(held, l)
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("found only %d of %d free ports between %d and %d", len(ports), n, lowestPort, highestPort)
}
