// Merkle-Patricia tries with @ethereumjs/mpt: for each case of a JSON file its root, and what proofs of others show it.
//
//   node evm-tries.mjs CASES.json
//
// A case has `entries`, pairs of key and value in hexadecimal, and `proofs`, pairs of a key and the nodes to its value.
// Prints JSON: of each case `root`, `values` (what each proof shows under that root, null: nothing) and `proofs`, its own.
import { readFileSync } from 'node:fs'
import { MerklePatriciaTrie, createMerkleProof, verifyMerkleProof } from '@ethereumjs/mpt'
import { bytesToUnprefixedHex as shown, unprefixedHexToBytes as bytes } from '@ethereumjs/util'

const cases = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const found = []
for (const { entries, proofs } of cases) {
  const trie = new MerklePatriciaTrie()
  for (const [key, value] of entries) await trie.put(bytes(key), bytes(value))
  const values = []
  const own = []
  for (const [key, nodes] of proofs) {
    const value = await verifyMerkleProof(bytes(key), nodes.map(bytes)).catch(() => null)
    values.push(value === null ? null : shown(value))
    own.push((await createMerkleProof(trie, bytes(key))).map(shown))
  }
  found.push({ root: shown(trie.root()), values, proofs: own })
}
console.log(JSON.stringify(found))
