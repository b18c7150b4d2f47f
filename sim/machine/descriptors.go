package machine

import (
	"github.com/kvorum/kvorum/sim/disk"
	"github.com/kvorum/kvorum/sim/vnet"
)

// descriptor is what a file descriptor of the program stands for: one of the pointers is set, or none for standard streams.
type descriptor struct {
	used     bool
	stream   bool // standard input, output, error
	file     *disk.File
	offset   int64
	appends  bool
	preopen  bool
	listener *vnet.Listener
	end      *vnet.End
	dialing  *vnet.Dialing
	flags    uint16
}

type descriptors struct{ list []descriptor }

// rootFD is the folder that all paths start from.
const rootFD = 3

func (d *descriptors) init() {
	d.list = []descriptor{{used: true, stream: true}, {used: true, stream: true}, {used: true, stream: true}, {used: true, preopen: true}}
}

// add takes the lowest free number, as POSIX does.
func (d *descriptors) add(n descriptor) uint32 {
	n.used = true
	for i := rootFD + 1; i < len(d.list); i++ {
		if !d.list[i].used {
			d.list[i] = n
			return uint32(i)
		}
	}
	d.list = append(d.list, n)
	return uint32(len(d.list) - 1)
}

func (d *descriptors) get(fd uint32) *descriptor {
	if int(fd) >= len(d.list) || !d.list[fd].used {
		return nil
	}
	return &d.list[fd]
}

func (d *descriptors) remove(fd uint32) { d.list[fd] = descriptor{} }

func (d *descriptor) readable() bool {
	switch {
	case d.listener != nil:
		return d.listener.Readable()
	case d.end != nil:
		return d.end.Readable()
	}
	return !d.stream
}

func (d *descriptor) writable() bool {
	if d.dialing != nil {
		_, errno := d.dialing.Done()
		return errno != vnet.EAGAIN
	}
	return d.end == nil || d.end.Writable()
}

// kind is the WASI file type.
func (d *descriptor) kind() byte {
	const characterDevice, directory, regular, socket = 2, 3, 4, 6
	switch {
	case d.stream:
		return characterDevice
	case d.preopen:
		return directory
	case d.listener != nil, d.end != nil, d.dialing != nil:
		return socket
	case d.file.Info().Folder:
		return directory
	}
	return regular
}
