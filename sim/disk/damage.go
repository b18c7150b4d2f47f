package disk

import "strings"

// What follows happens to a platter at rest: call it only while nothing runs on the disk, after Crash.

// Flip inverts one bit of a file, and reports whether there is such a byte.
func (d *Disk) Flip(name string, offset int64, bit uint) bool {
	n, errno := d.find(name)
	if errno != 0 || n.folder || offset < 0 || offset >= int64(len(n.durable)) {
		return false
	}
	n.durable[offset] ^= 1 << (bit % 8)
	n.data = append([]byte(nil), n.durable...)
	return true
}

// Cut makes a file shorter, and reports whether it did.
func (d *Disk) Cut(name string, size int64) bool {
	n, errno := d.find(name)
	if errno != 0 || n.folder || size < 0 || size >= int64(len(n.durable)) {
		return false
	}
	d.used -= int64(len(n.durable)) - size
	n.durable = n.durable[:size:size]
	n.data = append([]byte(nil), n.durable...)
	return true
}

// Vanish takes a file's or a folder's name away, and reports whether it was there.
func (d *Disk) Vanish(name string) bool {
	folder, last, errno := d.parent(name)
	if errno != 0 || folder.durableNames[last] == nil {
		return false
	}
	delete(folder.durableNames, last)
	delete(folder.names, last)
	d.used = used(d.root, map[*node]bool{})
	return true
}

// Wipe empties the disk: a new one in place of the old.
func (d *Disk) Wipe() {
	d.root = d.newNode(true)
	d.used = 0
}

// Restore puts the names and bytes of an image made by Clone in place of the present ones. The image must not be used again.
func (d *Disk) Restore(image *Disk) {
	d.root, d.used, d.next = image.root, image.used, max(d.next, image.next)
}

// Swap exchanges what is on two disks.
func (d *Disk) Swap(other *Disk) {
	d.root, other.root = other.root, d.root
	d.used, other.used = other.used, d.used
	d.next, other.next = max(d.next, other.next), max(d.next, other.next)
}

// Files lists the durable files below a folder, sorted, with their sizes.
func (d *Disk) Files(folder string) (list []Entry) {
	prefix := strings.Trim(folder, "/") + "/"
	walk(d.root, "", true, func(name string, n *node) {
		if !n.folder && (prefix == "/" || strings.HasPrefix(name, prefix)) {
			list = append(list, Entry{name, Info{Inode: n.id, Size: int64(len(n.durable))}})
		}
	})
	return list
}
