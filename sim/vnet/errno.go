package vnet

// Errno is a WASI preview 1 error number; 0 is success.
type Errno uint32

// The numbers in use.
const (
	EADDRINUSE   Errno = 3
	EAGAIN       Errno = 6
	ECONNREFUSED Errno = 14
	ECONNRESET   Errno = 15
	EHOSTUNREACH Errno = 23
	EINVAL       Errno = 28
	ENOTCONN     Errno = 53
	EPIPE        Errno = 64
	ETIMEDOUT    Errno = 73
)
