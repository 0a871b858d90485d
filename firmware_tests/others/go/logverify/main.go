// Logverify checks a box's log with the Go checksum database's own packages: golang.org/x/mod/sumdb/note and tlog.
//
//	logverify DIRECTORY VERIFIER-KEY INDEX...
//
// DIRECTORY holds checkpoint and tile/. Every leaf index is proved under the checkpoint from the tiles on disk; each
// earlier size that the tiles show (powers of two and the INDEX values) is proved consistent with it. With
// "proof FILE ENTRY-HEX" after the key, a .tlog-proof file is checked for that entry instead.
package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// diskTiles reads tiles as C2SP tlog-tiles lays them out, which differs from the checksum database in the first
// path elements only: tile/L/N instead of tile/8/L/N.
type diskTiles struct{ directory string }

func (d diskTiles) Height() int { return height }

func (d diskTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
		data, err := os.ReadFile(filepath.Join(d.directory, path))
		if err != nil {
			full := tile
			full.W = 1 << height
			path = strings.Replace(full.Path(), fmt.Sprintf("tile/%d/", height), "tile/", 1)
			if data, err = os.ReadFile(filepath.Join(d.directory, path)); err != nil {
				return nil, err
			}
			data = data[:tile.W*tlog.HashSize]
		}
		all = append(all, data)
	}
	return all, nil
}

func (d diskTiles) SaveTiles([]tlog.Tile, [][]byte) {}

func check(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

// open verifies a checkpoint and reads its origin, size and root.
func open(message []byte, key string) (string, tlog.Tree) {
	verifier, err := note.NewVerifier(key)
	check(err)
	opened, err := note.Open(message, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return lines[0], tlog.Tree{N: size, Hash: root}
}

func proof(file, entry, key string) {
	data, err := os.ReadFile(file)
	check(err)
	head, checkpoint, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || lines[0] != "c2sp.org/tlog-proof@v1" {
		check(fmt.Errorf("not a tlog-proof"))
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	check(err)
	var path tlog.RecordProof
	for _, line := range lines[1:] {
		step, err := base64.StdEncoding.DecodeString(line)
		check(err)
		var hash tlog.Hash
		copy(hash[:], step)
		path = append(path, hash)
	}
	content, err := hex.DecodeString(entry)
	check(err)
	origin, tree := open(checkpoint, key)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(content)))
	fmt.Printf("proof %s %d %d\n", origin, index, tree.N)
}

func main() {
	directory, key, rest := os.Args[1], os.Args[2], os.Args[3:]
	if len(rest) == 3 && rest[0] == "proof" {
		proof(rest[1], rest[2], key)
		return
	}
	message, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	check(err)
	origin, tree := open(message, key)
	// TileHashReader authenticates every tile that it reads against the signed root.
	reader := tlog.TileHashReader(tree, diskTiles{directory})
	sizes := map[int64]bool{}
	for size := int64(1); size <= tree.N; size *= 2 {
		sizes[size] = true
	}
	for _, argument := range rest {
		index, err := strconv.ParseInt(argument, 10, 64)
		check(err)
		leaf, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		check(err)
		path, err := tlog.ProveRecord(tree.N, index, reader)
		check(err)
		check(tlog.CheckRecord(path, tree.N, tree.Hash, index, leaf[0]))
		if index > 0 {
			sizes[index] = true
		}
	}
	for size := range sizes {
		old, err := tlog.TreeHash(size, reader)
		check(err)
		path, err := tlog.ProveTree(tree.N, size, reader)
		check(err)
		check(tlog.CheckTree(path, tree.N, tree.Hash, size, old))
	}
	fmt.Printf("log %s %d %s\n", origin, tree.N, tree.Hash)
}
