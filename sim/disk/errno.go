package disk

// Errno is a WASI preview 1 error number; 0 is success.
type Errno uint32

// The numbers in use.
const (
	EACCES    Errno = 2
	EAGAIN    Errno = 6
	EBADF     Errno = 8
	EEXIST    Errno = 20
	EINVAL    Errno = 28
	EIO       Errno = 29
	EISDIR    Errno = 31
	ENOENT    Errno = 44
	ENOSPC    Errno = 51
	ENOSYS    Errno = 52
	ENOTDIR   Errno = 54
	ENOTEMPTY Errno = 55
)
