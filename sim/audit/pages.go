package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// Layout of bbolt, little endian. A page: id 8, flags 2, count 2, overflow 4, then elements of 16 bytes. A meta page goes on
// with magic, version, page size, flags (4 each), root bucket 16, free list 8, high-water page 8, transaction 8, FNV-1a sum 8.
const (
	pageHead    = 16
	elementSize = 16
	bucketHead  = 16
	metaSize    = 64
	boltMagic   = 0xED0CDAED
	isBranch    = 1
	isLeaf      = 2
	isBucket    = 1
)

// pages walks all that can be reached from the newest meta page.
type pages struct {
	b     []byte
	size  uint64 // of a page
	count uint64
	seen  map[uint64]bool
}

func checkPages(b []byte) error {
	p := &pages{b: b, seen: map[uint64]bool{}}
	root, err := p.meta()
	if err != nil {
		return err
	}
	if need := p.count * p.size; uint64(len(b)) < need {
		return fmt.Errorf("truncated: %d bytes of %d", len(b), need)
	}
	return p.page(root, nil, nil)
}

// meta finds the newest valid meta page: a crash may leave one of the two torn.
func (p *pages) meta() (root uint64, err error) {
	found, newest := false, uint64(0)
	for size := uint64(1024); size <= 65536; size *= 2 {
		for n := range uint64(2) {
			at := n*size + pageHead
			if at+metaSize > uint64(len(p.b)) {
				continue
			}
			m := p.b[at : at+metaSize]
			sum := fnv.New64a()
			sum.Write(m[:56])
			if binary.LittleEndian.Uint32(m) != boltMagic || uint64(binary.LittleEndian.Uint32(m[8:])) != size || binary.LittleEndian.Uint64(m[56:]) != sum.Sum64() {
				continue
			}
			if tx := binary.LittleEndian.Uint64(m[48:]); !found || tx > newest {
				found, newest = true, tx
				p.size, p.count, root = size, binary.LittleEndian.Uint64(m[40:]), binary.LittleEndian.Uint64(m[16:])
			}
		}
	}
	if !found || p.count > uint64(len(p.b)) {
		return 0, errors.New("no valid meta page")
	}
	return root, nil
}

// page checks one page and all under it, whose keys must be from low up to, not including, high (nil: no bound). It must find
// all that bbolt finds when it opens the file: there bbolt panics beside a goroutine that then crashes the process.
func (p *pages) page(id uint64, low, high []byte) error {
	if id < 2 || id >= p.count {
		return fmt.Errorf("page %d is referred to, of %d", id, p.count)
	}
	at := id * p.size
	overflow := uint64(binary.LittleEndian.Uint32(p.b[at+12:]))
	if binary.LittleEndian.Uint64(p.b[at:]) != id || overflow >= p.count-id {
		return fmt.Errorf("page %d has the head of another", id)
	}
	for i := id; i <= id+overflow; i++ {
		if p.seen[i] {
			return fmt.Errorf("page %d is referred to twice", i)
		}
		p.seen[i] = true
	}
	if err := p.elements(p.b[at:at+(overflow+1)*p.size], low, high); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks those of a page, or of a bucket that lies inside a value.
func (p *pages) elements(page, low, high []byte) error {
	if len(page) < pageHead {
		return errors.New("cut")
	}
	kind, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if kind != isBranch && kind != isLeaf || kind == isBranch && count == 0 || pageHead+count*elementSize > len(page) {
		return errors.New("no page of a tree")
	}
	list := make([]element, count)
	for i := range list {
		var err error
		if list[i], err = readElement(page, i, kind == isLeaf); err != nil {
			return err
		}
		name := list[i].key
		if i > 0 && bytes.Compare(list[i-1].key, name) >= 0 || bytes.Compare(name, low) < 0 || high != nil && bytes.Compare(name, high) >= 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
	}
	for i, e := range list {
		var err error
		switch {
		case kind == isBranch && i+1 < count:
			err = p.page(e.child, e.key, list[i+1].key)
		case kind == isBranch:
			err = p.page(e.child, e.key, high)
		case e.bucket:
			err = p.bucket(e.value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element of a branch page, with a child, or of a leaf page, with a value.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

func readElement(page []byte, i int, leaf bool) (element, error) {
	at := pageHead + i*elementSize
	field := func(n int) uint64 { return uint64(binary.LittleEndian.Uint32(page[at+4*n:])) }
	start, key, value := uint64(at)+field(0), field(1), uint64(0)
	if leaf {
		start, key, value = uint64(at)+field(1), field(2), field(3)
	}
	if start+key+value > uint64(len(page)) {
		return element{}, fmt.Errorf("element %d reaches beyond it", i)
	}
	e := element{key: page[start : start+key], value: page[start+key : start+key+value]}
	if leaf {
		e.bucket = field(0)&isBucket != 0
	} else {
		e.child = binary.LittleEndian.Uint64(page[at+8:])
	}
	return e, nil
}

func (p *pages) bucket(value []byte) error {
	if len(value) < bucketHead {
		return errors.New("a bucket is cut")
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return p.page(root, nil, nil)
	}
	return p.elements(value[bucketHead:], nil, nil)
}
