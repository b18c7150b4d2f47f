package main

import "unsafe"

// bytesAt looks at bbolt's map, of which Info gives the address.
func bytesAt(address uintptr, size int) []byte {
	return unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&address))), size)
}
