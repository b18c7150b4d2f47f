package node

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// checkAddress refuses what is not host:port. what names it in the error: a flag, say.
func checkAddress(what, address string) error {
	_, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		return fmt.Errorf("%s: %q is not host:port with a port from 0 to 65535, as in 127.0.0.1:8080", what, address)
	}
	return nil
}

func checkSeeds(seeds []string) error {
	var errs []error
	for _, seed := range seeds {
		errs = append(errs, checkAddress("--seeds", seed))
	}
	return errors.Join(errs...)
}

// portError says why a listener could not be opened, and what to do.
func portError(flag, address string, err error) error {
	if bad := checkAddress("--"+flag, address); bad != nil {
		return bad
	}
	advice := "give another address with --" + flag
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program uses the port: stop it, or " + advice
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		advice = "this machine does not have the address: " + advice
	case errors.Is(err, syscall.EACCES):
		advice = "this user may not use the port: " + advice + ", with a port from 1024"
	}
	return fmt.Errorf("cannot listen on %s: %w; %s", address, err, advice)
}
