// Renewedlog checks a log under SHA-512 and that it goes on from one under SHA-256, with nothing of the box's: signatures
// by golang.org/x/mod/sumdb/note, trees by the recursive definition of RFC 6962 over the entry bundles.
//
//	renewedlog NEW-DIRECTORY NEW-VERIFIER-KEY OLD-DIRECTORY OLD-VERIFIER-KEY
//	renewedlog proof FILE ENTRY-HEX NEW-VERIFIER-KEY
//	renewedlog continuation FILE OLD-ENTRY-HEX OLD-VERIFIER-KEY NEW-VERIFIER-KEY
package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

type hashing func() hash.Hash

func check(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

func must(holds bool, what string) {
	if !holds {
		check(fmt.Errorf("%s", what))
	}
}

func digest(h hashing, parts ...[]byte) []byte {
	hasher := h()
	for _, part := range parts {
		hasher.Write(part)
	}
	return hasher.Sum(nil)
}

func leaf(h hashing, entry []byte) []byte { return digest(h, []byte{0}, entry) }

func node(h hashing, left, right []byte) []byte { return digest(h, []byte{1}, left, right) }

func split(n int64) int64 {
	k := int64(1)
	for k*2 < n {
		k *= 2
	}
	return k
}

func treeHash(h hashing, entries [][]byte) []byte {
	switch n := int64(len(entries)); n {
	case 0:
		return digest(h)
	case 1:
		return leaf(h, entries[0])
	default:
		k := split(n)
		return node(h, treeHash(h, entries[:k]), treeHash(h, entries[k:]))
	}
}

// fold gives the root that an audit path leads to, leaf's sibling first.
func fold(h hashing, index, size int64, hash []byte, path [][]byte) []byte {
	if size == 1 {
		must(len(path) == 0, "the path is too long")
		return hash
	}
	must(len(path) > 0, "the path is too short")
	last, rest := path[len(path)-1], path[:len(path)-1]
	if k := split(size); index < k {
		return node(h, fold(h, index, k, hash, rest), last)
	} else {
		return node(h, last, fold(h, index-k, size-k, hash, rest))
	}
}

type head struct {
	origin string
	size   int64
	root   []byte
}

func open(message []byte, key string) head {
	verifier, err := note.NewVerifier(key)
	check(err)
	opened, err := note.Open(message, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	must(lines[0] == verifier.Name(), "the head is of another log")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	return head{lines[0], size, root}
}

// entries reads every bundle of a log of this size, whatever the width of its last one.
func entries(directory string, size int64) [][]byte {
	var all [][]byte
	for index := int64(0); index*256 < size; index++ {
		path := filepath.Join(directory, "tile/entries", fmt.Sprintf("%03d", index))
		data, err := os.ReadFile(path)
		if err != nil {
			data, err = os.ReadFile(fmt.Sprintf("%s.p/%d", path, size-index*256))
		}
		check(err)
		for len(data) > 0 && int64(len(all)) < size {
			length := int(data[0])<<8 | int(data[1])
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
	}
	must(int64(len(all)) == size, "entries are missing")
	return all
}

type successor struct {
	Checkpoint string `json:"checkpoint"`
	Format     string `json:"format"`
	Tree       string `json:"tree"`
}

func read(encoded []byte) successor {
	var found successor
	check(json.Unmarshal(encoded, &found))
	must(found.Format == "cinnabar-log-successor/1", "not a successor")
	return found
}

func decoded(texts []string) [][]byte {
	var path [][]byte
	for _, text := range texts {
		step, err := hex.DecodeString(text)
		check(err)
		path = append(path, step)
	}
	return path
}

// proven opens a .tlog-proof and folds it from an entry to the head that it brings.
func proven(data, entry []byte, key string) (head, int64) {
	top, checkpoint, found := bytes.Cut(data, []byte("\n\n"))
	lines := strings.Split(string(top), "\n")
	must(found && lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[1], "index "), 10, 64)
	check(err)
	var path [][]byte
	for _, line := range lines[2:] {
		step, err := base64.StdEncoding.DecodeString(line)
		check(err)
		path = append(path, step)
	}
	shown := open(checkpoint, key)
	must(bytes.Equal(fold(sha512.New, index, shown.size, leaf(sha512.New, entry), path), shown.root), "the proof fails")
	return shown, index
}

func logs(directory, key, oldDirectory, oldKey string) {
	message, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	check(err)
	now := open(message, key)
	all := entries(directory, now.size)
	must(bytes.Equal(treeHash(sha512.New, all), now.root), "the new log's entries have another root")
	encoded, err := os.ReadFile(filepath.Join(directory, "successor.json"))
	check(err)
	must(bytes.Equal(digest(sha512.New, encoded), all[0]), "the successor is not the first entry")
	stated := read(encoded)
	ended := open([]byte(stated.Checkpoint), oldKey)
	old := entries(oldDirectory, ended.size)
	must(bytes.Equal(treeHash(sha256.New, old), ended.root), "the old log's entries have another root")
	must(hex.EncodeToString(treeHash(sha512.New, old)) == stated.Tree, "the successor states another tree")
	fmt.Printf("log %s %d goes on from %s %d\n", now.origin, now.size, ended.origin, ended.size)
}

func continuation(file, entry, oldKey, key string) {
	data, err := os.ReadFile(file)
	check(err)
	var found struct {
		Steps []struct {
			Hashes    []string `json:"hashes"`
			Index     int64    `json:"index"`
			Origin    string   `json:"origin"`
			Successor string   `json:"successor"`
		} `json:"steps"`
		Proof string `json:"tlog_proof"`
	}
	check(json.Unmarshal(data, &found))
	must(len(found.Steps) == 1, "one step is what this program knows")
	step := found.Steps[0]
	stated := read([]byte(step.Successor))
	ended := open([]byte(stated.Checkpoint), oldKey)
	content, err := hex.DecodeString(entry)
	check(err)
	root := fold(sha512.New, step.Index, ended.size, leaf(sha512.New, content), decoded(step.Hashes))
	must(hex.EncodeToString(root) == stated.Tree, "the path does not lead to the successor's tree")
	shown, index := proven([]byte(found.Proof), digest(sha512.New, []byte(step.Successor)), key)
	must(index == 0 && shown.origin == step.Origin, "the successor is not the first entry of its log")
	fmt.Printf("continuation %s %d to %s %d\n", ended.origin, step.Index, shown.origin, shown.size)
}

func main() {
	arguments := os.Args[1:]
	switch {
	case len(arguments) == 4 && arguments[0] == "proof":
		data, err := os.ReadFile(arguments[1])
		check(err)
		entry, err := hex.DecodeString(arguments[2])
		check(err)
		shown, index := proven(data, entry, arguments[3])
		fmt.Printf("proof %s %d %d\n", shown.origin, index, shown.size)
	case len(arguments) == 5 && arguments[0] == "continuation":
		continuation(arguments[1], arguments[2], arguments[3], arguments[4])
	case len(arguments) == 4:
		logs(arguments[0], arguments[1], arguments[2], arguments[3])
	default:
		check(fmt.Errorf("arguments"))
	}
}
