// Trees of logs (RFC 6962): over SHA-256, or over the hash that a log's origin names by its last part (docs/log.md). Nothing
// that is proven chooses its own hash.

const SHA256_TREE = { name: "sha256", size: 32, digest: sha256 };
const RENEWED_TREES = [
  { name: "sha512", size: 64, digest: (bytes) => digest("SHA-512", bytes) },
  { name: "sm3", size: 32, digest: sm3 },
];

const treeHash = (origin) => RENEWED_TREES.find((one) => one.name === origin.slice(origin.lastIndexOf("/") + 1)) ?? SHA256_TREE;

// The entry of a record in a log of this hash.
const commitmentOf = (salt, content, hashing) => hashing.digest(concat(utf8("cinnabar record v1\n"), salt, utf8(content)));

// A hash of a tree in hexadecimal, of the size of one of them.
const isTreeHex = (value) => isHex(value) && [64, 128].includes(value.length);

// RFC 9162, section 2.1.3.2. Numbers beyond 2^53 are refused before. Null where the path is not of that leaf, or of another hash.
async function rootOf(entry, index, size, path, hashing) {
  if (index >= size || path.some((one) => one.length !== hashing.size)) return null;
  const node = (left, right) => hashing.digest(concat(Uint8Array.of(1), left, right));
  let hash = await hashing.digest(concat(Uint8Array.of(0), entry));
  let at = index;
  let last = size - 1;
  for (const step of path) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      hash = await node(step, hash);
      while (at % 2 === 0 && at !== 0) {
        at /= 2;
        last = Math.floor(last / 2);
      }
    } else hash = await node(hash, step);
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? hash : null;
}
