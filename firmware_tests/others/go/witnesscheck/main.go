// Witnesscheck talks to a witness as a log does, over C2SP tlog-witness, and verifies what it answers with crypto/ed25519
// and the Go checksum database's own packages: golang.org/x/mod/sumdb/note and tlog. Nothing of the appliance is in it.
//
//	witnesscheck SUBMISSION-URL ORIGIN LOG-SEED-HEX WITNESS-KEY SIZE...
//	witnesscheck evidence FILE LOG-KEY
//
// With "evidence" a file that shows two histories of a log is checked, by its format in docs/witness.md alone.
//
// The log is made here: entry n is the decimal n. Each SIZE, rising, is submitted with a consistency proof that tlog makes;
// its cosignature is verified. Then the witness must refuse what it should: a wrong proof, another size, another history.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

func require(holds bool, text string, values ...any) {
	if !holds {
		check(fmt.Errorf(text, values...))
	}
}

// history is a log in memory, as tlog's stored hashes.
type history struct {
	mark   string
	hashes []tlog.Hash
	size   int64
}

func (h *history) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, h.hashes[index])
	}
	return found, nil
}

func (h *history) grow(size int64) {
	for ; h.size < size; h.size++ {
		more, err := tlog.StoredHashes(h.size, []byte(h.mark+strconv.FormatInt(h.size, 10)), h)
		check(err)
		h.hashes = append(h.hashes, more...)
	}
}

func (h *history) head(origin string, size int64) string {
	root, err := tlog.TreeHash(size, h)
	check(err)
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, root)
}

// cosigner verifies lines of type 0x04 (C2SP tlog-cosignature), which the note package does not know by itself.
type cosigner struct {
	name string
	id   uint32
	key  ed25519.PublicKey
	time uint64
}

func newCosigner(text string) *cosigner {
	parts := strings.SplitN(text, "+", 3)
	require(len(parts) == 3, "the witness's key is not NAME+ID+KEY")
	key, err := base64.StdEncoding.DecodeString(parts[2])
	check(err)
	require(len(key) == 33 && key[0] == 0x04, "the witness's key is not of type 4")
	digest := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	require(hex.EncodeToString(digest[:4]) == parts[1], "the key id is not that of the key")
	return &cosigner{name: parts[0], id: binary.BigEndian.Uint32(digest[:4]), key: key[1:]}
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.id }
func (c *cosigner) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	c.time = binary.BigEndian.Uint64(signature)
	message := append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", c.time)), text...)
	return ed25519.Verify(c.key, message, signature[8:])
}

type client struct {
	url    string
	signer note.Signer
	origin string
}

func (c *client) submit(old int64, proof tlog.TreeProof, text string) (int, string, string, string) {
	signed, err := note.Sign(&note.Note{Text: text}, c.signer)
	check(err)
	var body bytes.Buffer
	fmt.Fprintf(&body, "old %d\n", old)
	for _, hash := range proof {
		fmt.Fprintf(&body, "%s\n", base64.StdEncoding.EncodeToString(hash[:]))
	}
	body.WriteString("\n")
	body.Write(signed)
	answer, err := http.Post(c.url+"/add-checkpoint", "text/plain", &body)
	check(err)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	check(err)
	return answer.StatusCode, string(content), answer.Header.Get("Content-Type"), string(signed)
}

// head opens a signed checkpoint of the log.
func head(message, origin string, verifier note.Verifier) tlog.Tree {
	opened, err := note.Open([]byte(message), note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	require(lines[0] == origin, "a head is of %s", lines[0])
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: root}
}

func evidence(file, key string) {
	data, err := os.ReadFile(file)
	check(err)
	var found struct {
		First, Second, Format, Origin string
		Root                          string `json:"first_root_in_second"`
		Proof                         []string
	}
	check(json.Unmarshal(data, &found))
	require(found.Format == "cinnabar-fork-evidence/1", "the format is %s", found.Format)
	verifier, err := note.NewVerifier(key)
	check(err)
	first, second := head(found.First, found.Origin, verifier), head(found.Second, found.Origin, verifier)
	if first.N == second.N {
		require(first.Hash != second.Hash, "both heads are the same")
	} else {
		other, err := tlog.ParseHash(found.Root)
		check(err)
		require(other != first.Hash, "the second head's tree begins with the first's")
		var path tlog.TreeProof
		for _, step := range found.Proof {
			hash, err := tlog.ParseHash(step)
			check(err)
			path = append(path, hash)
		}
		check(tlog.CheckTree(path, second.N, second.Hash, first.N, other))
	}
	fmt.Printf("%s has two histories: %d and %d entries\n", found.Origin, first.N, second.N)
}

func main() {
	if os.Args[1] == "evidence" {
		evidence(os.Args[2], os.Args[3])
		return
	}
	url, origin := os.Args[1], os.Args[2]
	seed, err := hex.DecodeString(os.Args[3])
	check(err)
	private := ed25519.NewKeyFromSeed(seed)
	encoded := append([]byte{1}, private.Public().(ed25519.PublicKey)...)
	id := sha256.Sum256(append([]byte(origin+"\n"), encoded...))
	signer, err := note.NewSigner(fmt.Sprintf("PRIVATE+KEY+%s+%x+%s", origin, id[:4],
		base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))))
	check(err)
	witness := newCosigner(os.Args[4])
	log := &client{url, signer, origin}
	main := &history{}
	old := int64(0)
	for _, argument := range os.Args[5:] {
		size, err := strconv.ParseInt(argument, 10, 64)
		check(err)
		main.grow(size)
		var proof tlog.TreeProof
		if old > 0 && old < size {
			proof, err = tlog.ProveTree(size, old, main)
			check(err)
		}
		before := uint64(time.Now().Unix())
		status, lines, _, signed := log.submit(old, proof, main.head(origin, size))
		require(status == 200, "size %d: status %d: %s", size, status, lines)
		opened, err := note.Open([]byte(signed+lines), note.VerifierList(witness))
		check(err)
		require(len(opened.Sigs) == 1, "size %d: %d cosignatures", size, len(opened.Sigs))
		require(witness.time >= before && witness.time <= uint64(time.Now().Unix()), "size %d: time %d", size, witness.time)
		old = size
	}
	// Another size is answered with the one that counts.
	status, content, kind, _ := log.submit(old+1, nil, main.head(origin, old))
	require(status == 400, "an old size beyond the head's: status %d", status)
	main.grow(old + 5)
	status, content, kind, _ = log.submit(0, nil, main.head(origin, old+5))
	require(status == 409 && kind == "text/x.tlog.size" && content == fmt.Sprintf("%d\n", old), "conflict: %d %s", status, content)
	// A proof with one bit changed.
	proof, err := tlog.ProveTree(old+5, old, main)
	check(err)
	proof[len(proof)-1][0] ^= 1
	status, content, _, _ = log.submit(old, proof, main.head(origin, old+5))
	require(status == 422, "a wrong proof: status %d: %s", status, content)
	// Another history, with a proof that holds for itself.
	other := &history{mark: "other "}
	other.grow(old + 5)
	proof, err = tlog.ProveTree(old+5, old, other)
	check(err)
	status, content, _, _ = log.submit(old, proof, other.head(origin, old+5))
	require(status == 409 || status == 422, "another history: status %d: %s", status, content)
	fmt.Printf("witness %s cosigned %s up to %d\n", witness.name, origin, old)
}
