//go:build !linux && !wasip1

package network

import "time"

// giveUpUnacknowledged leaves it to the kernel when it gives up on what is not acknowledged.
func giveUpUnacknowledged(time.Duration) control { return nil }
