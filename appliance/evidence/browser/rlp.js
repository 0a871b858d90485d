// Recursive Length Prefix and Merkle-Patricia proofs (Ethereum yellow paper, appendices B and D). An item is bytes or a list
// of items, in one spelling each.

class MalformedChainData extends Broken {
  constructor(en = "data of a chain that are malformed", zh = "链上数据格式错误") {
    super(en, zh);
  }
}
class NotInTrie extends MalformedChainData {}

const MOST_ITEMS = 4096;
const DEEPEST_LIST = 8;

function writeRlp(item) {
  const isList = Array.isArray(item);
  const content = isList ? concat(...item.map(writeRlp)) : item;
  if (!isList && content.length === 1 && content[0] < 0x80) return content;
  const base = isList ? 0xc0 : 0x80;
  if (content.length < 56) return concat(Uint8Array.of(base + content.length), content);
  const size = rlpInteger(BigInt(content.length));
  return concat(Uint8Array.of(base + 55 + size.length), size, content);
}

const rlpInteger = (number) => (number === 0n ? new Uint8Array() : bytesOf(number, Math.ceil(number.toString(16).length / 2)));

// The item that the bytes are, whole; no more than `most` items are made.
function readRlp(data, most = MOST_ITEMS) {
  let left = most;
  const item = (start, end, depth) => {
    left -= 1;
    if (left < 0 || start >= end) throw new MalformedChainData();
    const first = data[start];
    if (first < 0x80) return [data.subarray(start, start + 1), start + 1];
    const isList = first >= 0xc0;
    const [content, length] = lengthAt(start, end, first - (isList ? 0xc0 : 0x80));
    const stop = content + length;
    if (stop > end || (!isList && length === 1 && data[content] < 0x80)) throw new MalformedChainData();
    if (!isList) return [data.subarray(content, stop), stop];
    if (depth >= DEEPEST_LIST) throw new MalformedChainData();
    const found = [];
    for (let at = content; at < stop; ) {
      const [one, next] = item(at, stop, depth + 1);
      found.push(one);
      at = next;
    }
    return [found, stop];
  };
  const lengthAt = (start, end, told) => {
    if (told < 56) return [start + 1, told];
    const content = start + 1 + told - 55;
    const length = content > end ? 0 : Number(toNumber(data.subarray(start + 1, content)));
    if (length < 56 || data[start + 1] === 0) throw new MalformedChainData();
    return [content, length];
  };
  const [read, end] = item(0, data.length, 0);
  if (end !== data.length) throw new MalformedChainData();
  return read;
}

const readRlpList = (data, most) => asList(readRlp(data, most));

function asBytes(item, size = null) {
  if (Array.isArray(item) || (size !== null && item.length !== size)) throw new MalformedChainData();
  return item;
}

function asList(item) {
  if (!Array.isArray(item)) throw new MalformedChainData();
  return item;
}

// A whole number of at most `size` bytes, without leading zeroes.
function asInteger(item, size = 32) {
  const bytes = asBytes(item);
  if (bytes.length > size || bytes[0] === 0) throw new MalformedChainData();
  return toNumber(bytes);
}

const MOST_PROOF_NODES = 16;
const LARGEST_NODE = 524288;
const NODE_ITEMS = 256;

const nibbles = (bytes) => Array.from(bytes).flatMap((byte) => [byte >> 4, byte & 15]);

// A path in its hex-prefix form (yellow paper, appendix C): whether it ends at a leaf, and its nibbles.
function readPath(encoded) {
  const found = nibbles(encoded);
  const odd = found[0] & 1;
  if (!found.length || found[0] > 3 || (!odd && found[1])) throw new NotInTrie();
  return { isLeaf: found[0] >= 2, shared: found.slice(2 - odd) };
}

// The value that stands under a root at a key, as the nodes show: each is needed, and is the one whose hash stands above it.
function proveInTrie(root, key, nodes) {
  if (nodes.length > MOST_PROOF_NODES) throw new NotInTrie();
  const left = [...nodes].reverse();
  const open = (reference) => {
    if (Array.isArray(reference)) {
      if (writeRlp(reference).length >= 32) throw new NotInTrie();
      return reference;
    }
    if (reference.length !== 32 || !left.length) throw new NotInTrie();
    const encoded = left.pop();
    if (encoded.length > LARGEST_NODE || !equal(keccak256(encoded), reference)) throw new NotInTrie();
    return readRlpList(encoded, NODE_ITEMS);
  };
  let path = nibbles(key);
  let reference = root;
  let value = null;
  while (value === null) {
    const node = open(reference);
    if (node.length === 17) {
      if (path.length) [reference, path] = [node[path[0]], path.slice(1)];
      else value = node[16];
      continue;
    }
    if (node.length !== 2) throw new NotInTrie();
    const { isLeaf, shared } = readPath(asBytes(node[0]));
    const fits = shared.every((nibble, at) => nibble === path[at]);
    if (!fits || (isLeaf ? shared.length !== path.length : shared.length === 0)) throw new NotInTrie();
    if (isLeaf) value = node[1];
    else [reference, path] = [node[1], path.slice(shared.length)];
  }
  if (left.length) throw new NotInTrie();
  if (!asBytes(value).length) throw new NotInTrie();
  return value;
}
