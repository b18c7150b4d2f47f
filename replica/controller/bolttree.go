package controller

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Layout of a bbolt page (little endian): id 8, flags 2, count 2, overflow 4; then count elements of 16 bytes. A branch
// element is position 4 (from the element itself), key size 4, child page 8; a leaf element is flags 4, position 4, key size
// 4, value size 4. The value of a leaf element with the bucket flag begins with the bucket's root page 8 and a sequence 8;
// with root 0 the bucket's own page, a leaf, follows in the value.
const (
	boltPageHeader   = 16
	boltElement      = 16
	boltBucketHeader = 16
	boltBranch       = 0x01
	boltLeaf         = 0x02
	boltIsBucket     = 0x01
)

// boltTree walks every page that can be reached from the root. It comes before bolt's own check, which panics in a goroutine
// of its own on much damage: nobody can recover that, and the process would end without a word about what to do.
type boltTree struct {
	file io.ReaderAt
	meta boltMeta
	seen map[uint64]bool
}

func checkBoltTree(file io.ReaderAt, meta boltMeta) error {
	t := &boltTree{file: file, meta: meta, seen: map[uint64]bool{}}
	return t.page(meta.root)
}

// page checks one page and everything under it.
func (t *boltTree) page(id uint64) error {
	if id < 2 || id >= t.meta.pages {
		return fmt.Errorf("page %d is referred to and the file has %d", id, t.meta.pages)
	}
	if t.seen[id] {
		return fmt.Errorf("page %d is referred to twice", id)
	}
	t.seen[id] = true
	head := make([]byte, boltPageHeader)
	if _, err := t.file.ReadAt(head, int64(id)*t.meta.pageSize); err != nil {
		return err
	}
	overflow := uint64(binary.LittleEndian.Uint32(head[12:]))
	if binary.LittleEndian.Uint64(head) != id || overflow >= t.meta.pages-id {
		return fmt.Errorf("page %d has the head of another", id)
	}
	content := make([]byte, (int64(overflow)+1)*t.meta.pageSize)
	if _, err := t.file.ReadAt(content, int64(id)*t.meta.pageSize); err != nil {
		return err
	}
	if err := t.elements(content); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	return nil
}

// elements checks the elements of a page, or of a bucket's page inside a value.
func (t *boltTree) elements(page []byte) error {
	if len(page) < boltPageHeader {
		return errors.New("it is cut")
	}
	kind, count := binary.LittleEndian.Uint16(page[8:]), int(binary.LittleEndian.Uint16(page[10:]))
	if kind != boltBranch && kind != boltLeaf || kind == boltBranch && count == 0 || boltPageHeader+count*boltElement > len(page) {
		return errors.New("it is no page of a tree")
	}
	var before []byte
	for i := range count {
		at := boltPageHeader + i*boltElement
		e := page[at : at+boltElement]
		number := func(offset int) uint64 { return uint64(binary.LittleEndian.Uint32(e[offset:])) }
		position, keySize, valueSize := number(0), number(4), uint64(0)
		if kind == boltLeaf {
			position, keySize, valueSize = number(4), number(8), number(12)
		}
		start := uint64(at) + position
		if start+keySize+valueSize > uint64(len(page)) {
			return fmt.Errorf("element %d reaches beyond it", i)
		}
		key := page[start : start+keySize]
		if i > 0 && bytes.Compare(before, key) >= 0 {
			return fmt.Errorf("element %d is out of order", i)
		}
		before = key
		var err error
		if kind == boltBranch {
			err = t.page(binary.LittleEndian.Uint64(e[8:]))
		} else if number(0)&boltIsBucket != 0 {
			err = t.bucket(page[start+keySize : start+keySize+valueSize])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *boltTree) bucket(value []byte) error {
	if len(value) < boltBucketHeader {
		return errors.New("a bucket is cut")
	}
	if root := binary.LittleEndian.Uint64(value); root != 0 {
		return t.page(root)
	}
	return t.elements(value[boltBucketHeader:])
}
