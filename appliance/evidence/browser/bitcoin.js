// Receipts of the Bitcoin family, judged as appliance.anchors.bitcoin.judge does: a transaction with the commitment, its way to
// the root of its block, headers on top, and their work.

class MalformedBitcoin extends Broken {}
const cutShort = () => new MalformedBitcoin("the transaction or a header is not of its form", "交易或区块头格式错误");

const HEADER_BYTES = 80;
const MOST_BITCOIN_HEADERS = 10000;
const MOST_TRANSACTIONS = 131072;
const DEEPEST_BRANCH = 17;
const LARGEST_BITCOIN_TRANSACTION = 100000;
const NODE_BYTES = 64;
// Headers whose work is computed for one receipt.
const MOST_DEPTH = 144;

const isBranch = isListOf(isHex32, DEEPEST_BRANCH);
const isDigits = (most) => isText(/^[0-9a-f]*$/, 2 * most);
const isBitcoinProof = isRecord({
  branch: isBranch, coinbase: isDigits(LARGEST_BITCOIN_TRANSACTION), coinbase_branch: isBranch, count: isNumber(1, MOST_TRANSACTIONS), genesis: isHex32,
  headers: isDigits(HEADER_BYTES * MOST_BITCOIN_HEADERS), index: isNumber(0, MOST_TRANSACTIONS - 1), transaction: isDigits(LARGEST_BITCOIN_TRANSACTION),
});
const isBitcoinRules = isRecord({
  depth: isNumber(1, MOST_DEPTH), easiest_bits: isText(/^[0-9a-f]{8}$/), genesis: isHex32, least_work: isEither(isNull, isText(/^[1-9a-f][0-9a-f]{0,63}$/)),
  trusted_headers: isListOf(isHex32, 10000), work: isOne("sha256d", "scrypt"),
});

const sha256d = async (bytes) => sha256(await sha256(bytes));
// A hash as people see it: the last byte first.
const hashShown = (bytes) => hex(Uint8Array.from(bytes).reverse());
const fromLittle = (bytes) => toNumber(Uint8Array.from(bytes).reverse());

// Reads from the front, and refuses what is cut short or not in its shortest form.
class BitcoinReader {
  constructor(data) {
    Object.assign(this, { data, at: 0 });
  }
  get rest() {
    return this.data.length - this.at;
  }
  take(size) {
    if (size > this.rest) throw cutShort();
    this.at += size;
    return this.data.subarray(this.at - size, this.at);
  }
  number(size) {
    return fromLittle(this.take(size));
  }
  compactSize(most) {
    const first = this.take(1)[0];
    const size = { 0xfd: 2, 0xfe: 4, 0xff: 8 }[first];
    const found = size ? this.number(size) : BigInt(first);
    const least = { 2: 0xfdn, 4: 1n << 16n, 8: 1n << 32n }[size] ?? 0n;
    if (found < least || found > BigInt(most)) throw cutShort();
    return Number(found);
  }
  sized() {
    return this.take(this.compactSize(this.rest));
  }
}

// { inputs, outputs, stripped } of a transaction with or without witnesses (BIP 144), and nothing after it. What is read has one
// spelling, so that without its witnesses it is what its id is the hash of.
function readBitcoinTransaction(data) {
  const reader = new BitcoinReader(data);
  const counted = (smallest) => reader.compactSize(Math.floor(reader.rest / smallest) + 1);
  reader.take(4);
  let begin = reader.at;
  let count = counted(41);
  const segregated = count === 0;
  if (segregated) {
    if (reader.take(1)[0] !== 1) throw cutShort();
    begin = reader.at;
    count = counted(41);
  }
  if (count === 0) throw cutShort();
  const inputs = Array.from({ length: count }, () => {
    const [spends, index, script] = [reader.take(32), reader.number(4), reader.sized()];
    reader.take(4);
    return { spends, index, script };
  });
  const outputs = Array.from({ length: counted(9) }, () => {
    if (reader.number(8) >> 63n) throw cutShort();
    return { script: reader.sized() };
  });
  if (!outputs.length) throw cutShort();
  const end = reader.at;
  if (segregated) {
    const items = inputs.map(() => Array.from({ length: reader.compactSize(reader.rest) }, () => reader.sized()).length);
    if (items.every((one) => one === 0)) throw cutShort();
  }
  const lockTime = reader.take(4);
  if (reader.rest) throw cutShort();
  return { inputs, outputs, stripped: concat(data.subarray(0, 4), data.subarray(begin, end), lockTime) };
}

// The target out of its compact form; null where no block can have it.
function targetOf(bits) {
  const [size, mantissa] = [bits >> 24n, bits & 0x7fffffn];
  const target = size <= 3n ? mantissa >> (8n * (3n - size)) : mantissa << (8n * (size - 3n));
  return bits & 0x800000n || target === 0n || target >> 256n ? null : target;
}

async function readBitcoinHeaders(data) {
  if (!data.length || data.length % HEADER_BYTES) throw cutShort();
  const found = [];
  for (let at = 0; at < data.length; at += HEADER_BYTES) {
    const encoded = data.subarray(at, at + HEADER_BYTES);
    const [time, bits] = [encoded.subarray(68, 72), encoded.subarray(72, 76)].map(fromLittle);
    found.push({ encoded, parent: encoded.subarray(4, 36), root: encoded.subarray(36, 68), time: Number(time), bits, hash: await sha256d(encoded) });
    await rest();
  }
  return found;
}

async function judgeBitcoin(said, commitment, rules) {
  const proof = readLedgerProof(said, isBitcoinProof);
  let anchor;
  let first;
  let chain;
  try {
    [anchor, first] = [proof.transaction, proof.coinbase].map((one) => readBitcoinTransaction(fromHex(one)));
    chain = await readBitcoinHeaders(fromHex(proof.headers));
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    refuseAnchor("malformed", error.text.en, error.text.zh);
  }
  if (proof.genesis !== rules.genesis) refuseAnchor("wrong_genesis", "the receipt is of a chain with another first block", "回执所属链的首个区块不同");
  checkOpReturn(anchor, commitment);
  await checkTree(proof, anchor, first, chain[0]);
  for (const [at, header] of chain.entries()) {
    if (at && !equal(header.parent, chain[at - 1].hash)) refuseAnchor("broken_chain", "a header on top does not name the one before it", "其上的某一区块头未指明其前一个");
  }
  const weighed = await weighWork(chain, rules);
  const hashed = hashShown(chain[0].hash);
  const height = heightIn(first);
  const place = height === null ? text(`block ${hashed}`, `区块 ${hashed}`) : text(`block ${height} (${hashed})`, `区块 ${height} (${hashed})`);
  // Its tree and the names of its blocks; scrypt has no name in a trust bundle.
  return { ...weighed, ...atOnce(chain[0].time * 1000), place, reliesOn: [{ name: "sha256" }] };
}

// OP_RETURN and one push of 32 bytes.
function checkOpReturn(anchor, commitment) {
  const found = anchor.outputs.filter(({ script }) => script.length === 34 && script[0] === 0x6a && script[1] === 0x20);
  if (!found.length) refuseAnchor("no_commitment", "the transaction carries no commitment", "交易未载有承诺");
  if (!found.some(({ script }) => equal(script.subarray(2), commitment))) refuseAnchor("other_commitment", "the transaction carries another commitment", "交易载有另一承诺");
}

// Both transactions stand in the block's tree, at one depth, and neither is a node of it (CVE-2017-12842).
async function checkTree(proof, anchor, first, block) {
  const ambiguous = (en, zh) => refuseAnchor("ambiguous_tree", en, zh);
  if ([anchor, first].some((one) => one.stripped.length === NODE_BYTES)) ambiguous("a transaction of 64 bytes could be a node of the tree", "64 字节的交易可能是树的节点");
  const [{ spends, index }] = first.inputs;
  if (first.inputs.length !== 1 || spends.some((byte) => byte) || index !== 0xffffffffn) ambiguous("what stands first in the block creates no coins", "区块中的首个交易不产生新币");
  for (const [what, transaction, at, branch] of [
    [text("the transaction", "交易"), anchor, proof.index, proof.branch],
    [text("the block's first transaction", "区块的首个交易"), first, 0, proof.coinbase_branch],
  ]) {
    const root = await rootByBranch(await sha256d(transaction.stripped), at, proof.count, branch.map(fromHex));
    if (root === null) ambiguous(`the branch of ${what.en} does not fit its block`, `${what.zh}的路径与其区块不符`);
    if (!equal(root, block.root)) refuseAnchor("not_in_block", `the branch of ${what.en} leads to another root`, `${what.zh}的路径通向另一树根`);
  }
}

// Where the branch of transaction `index` of `count` leads; null where it does not fit, or a node stands beside itself though
// its level does not end there (CVE-2012-2459).
async function rootByBranch(txid, index, count, branch) {
  if (index >= count) return null;
  const siblings = [...branch];
  let found = txid;
  for (; count > 1; [index, count] = [index >> 1, (count + 1) >> 1]) {
    let sibling = found;
    if ((index ^ 1) < count) {
      sibling = siblings.shift();
      if (sibling === undefined || equal(sibling, found)) return null;
    }
    found = await sha256d(index & 1 ? concat(sibling, found) : concat(found, sibling));
  }
  return siblings.length ? null : found;
}

// The block's height as its first transaction says it (BIP 34); null where it says none.
function heightIn(first) {
  const { script } = first.inputs[0];
  if (script[0] >= 0x51 && script[0] <= 0x60) return script[0] - 0x50;
  const height = script[0] <= 4 ? script.subarray(1, 1 + script[0]) : new Uint8Array();
  const last = height.at(-1);
  if (!height.length || height.length < script[0] || last & 0x80 || (last === 0 && !(height.at(-2) & 0x80))) return null;
  return Number(fromLittle(height));
}

async function weighWork(chain, rules) {
  const trusted = new Set(rules.trusted_headers);
  const known = chain.map((one) => hashShown(one.hash)).find((one) => trusted.has(one));
  if (known) return { strength: "proven", by: "trusted_header", notes: [text(`The block ${known} is trusted.`, `区块 ${known} 受信任。`)] };
  if (chain.length < rules.depth) {
    refuseAnchor("too_few_headers", `the receipt has ${chain.length} headers, the profile asks for ${rules.depth}`, `回执有 ${chain.length} 个区块头，配置要求 ${rules.depth} 个`);
  }
  const each = await workOf(chain.slice(0, MOST_DEPTH), rules);
  const work = each.reduce((sum, one) => sum + one, 0n);
  const least = rules.least_work === null ? null : BigInt(`0x${rules.least_work}`);
  const about = work.toString(2).length - 1;
  if (least !== null && isEnoughWork(each, least, BigInt(rules.depth))) {
    return { strength: "proven", by: "proof_of_work", notes: [text(`Its headers took about 2^${about} hashes.`, `其区块头约耗费 2^${about} 次哈希。`)] };
  }
  const why =
    rules.least_work === null
      ? text("The profile lets no work prove: on this chain anybody can make blocks.", "配置不以工作量为证明：此链上任何人均可制作区块。")
      : work >= least
      ? text(`Its headers took about 2^${about} hashes, most of them in too few headers: luck proves nothing.`, `其区块头约耗费 2^${about} 次哈希，但多集中于过少的区块头：侥幸不足为证。`)
      : text(`Its headers took about 2^${about} hashes, fewer than the profile asks for.`, `其区块头约耗费 2^${about} 次哈希，少于配置的要求。`);
  return { strength: "attested", by: "node", notes: [why] };
}

// Whether headers prove: no header counts for more than two of `depth` equal shares of the least work, for what a header takes
// is an average, which luck may save whoever has to find one alone.
function isEnoughWork(each, least, depth) {
  const share = (2n * least + depth - 1n) / depth;
  return each.reduce((sum, one) => sum + (one < share ? one : share), 0n) >= least;
}

// How many hashes each header took, on average.
async function workOf(headers, rules) {
  const easiest = targetOf(BigInt(`0x${rules.easiest_bits}`));
  if (easiest === null) refuseAnchor("rules_unreadable", "easiest_bits: a target that no block can have", "easiest_bits：任何区块均不可能有的目标");
  const targets = headers.map((one) => targetOf(one.bits));
  for (const target of targets) {
    if (target === null) refuseAnchor("wrong_target", "a header has a target that no block can have", "某一区块头的目标为任何区块均不可能有");
    if (target > easiest) refuseAnchor("wrong_target", "a header has an easier target than any of the chain", "某一区块头的目标易于该链的任何目标");
  }
  for (const [at, { encoded, hash }] of headers.entries()) {
    const worked = rules.work === "scrypt" ? await scrypt(encoded, encoded) : hash;
    if (fromLittle(worked) > targets[at]) refuseAnchor("no_work", "a header's hash is not below its target", "某一区块头的哈希不低于其目标");
    await rest();
  }
  return targets.map((target) => (1n << 256n) / (target + 1n));
}
