// What an account sent to an EVM chain, and what became of it: transactions (EIP-155, EIP-1559) and their receipts (yellow
// paper, section 4.4.1; EIP-658, EIP-2718). An anchor is of no other type.

const LARGEST_TRANSACTION = 131072;
const LARGEST_TRANSACTION_RECEIPT = 262144;
const RECEIPT_ITEMS = 8192;

// { sender, chainId, to, data } of a raw transaction.
function readTransaction(raw) {
  if (!raw.length || raw.length > LARGEST_TRANSACTION) throw new MalformedChainData();
  const read = raw[0] >= 0xc0 ? readLegacy(raw) : raw[0] === 2 ? readFeeMarket(raw) : null;
  if (read === null || read.s > ORDER / 2n) throw new MalformedChainData();
  const sender = recoverAddress(keccak256(read.signed), read.r, read.s, read.parity);
  if (sender === null) throw new MalformedChainData();
  return { sender, chainId: read.chainId, to: read.to, data: read.data };
}

function readLegacy(raw) {
  const fields = readRlpList(raw);
  if (fields.length !== 9) throw new MalformedChainData();
  const [nonce, gasPrice, gas, to, value, data, v, r, s] = fields;
  const marked = asInteger(v, 8) - 35n;
  const chainId = marked / 2n;
  if (chainId <= 0n || chainId > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedChainData();
  for (const [one, size] of [[nonce, 8], [gasPrice, 32], [gas, 8], [value, 32]]) asInteger(one, size);
  return {
    chainId, to: recipient(to), data: asBytes(data), parity: marked % 2n, r: asInteger(r), s: asInteger(s),
    signed: writeRlp([...fields.slice(0, 6), rlpInteger(chainId), new Uint8Array(), new Uint8Array()]),
  };
}

function readFeeMarket(raw) {
  const fields = readRlpList(raw.subarray(1));
  if (fields.length !== 12) throw new MalformedChainData();
  const [chainId, nonce, tip, fee, gas, to, value, data, accessList, parity, r, s] = fields;
  if (asList(accessList).length) throw new MalformedChainData();
  for (const [one, size] of [[nonce, 8], [tip, 32], [fee, 32], [gas, 8], [value, 32]]) asInteger(one, size);
  return {
    chainId: asInteger(chainId, 8), to: recipient(to), data: asBytes(data), parity: asInteger(parity), r: asInteger(r), s: asInteger(s),
    signed: concat(Uint8Array.of(2), writeRlp(fields.slice(0, 9))),
  };
}

function recipient(item) {
  const to = asBytes(item);
  if (to.length !== 0 && to.length !== 20) throw new MalformedChainData();
  return to;
}

// { status, logs } of a receipt as it stands in the trie; its bloom is that of its logs.
function readTransactionReceipt(encoded) {
  if (!encoded.length || encoded.length > LARGEST_TRANSACTION_RECEIPT) throw new MalformedChainData();
  const typed = encoded[0] > 0 && encoded[0] <= 0x7f;
  const fields = readRlpList(typed ? encoded.subarray(1) : encoded, RECEIPT_ITEMS);
  if (fields.length !== 4) throw new MalformedChainData();
  const status = asBytes(fields[0]);
  if (status.length > 1 || (status.length === 1 && status[0] !== 1)) throw new MalformedChainData();
  asInteger(fields[1]);
  const logs = asList(fields[3]).map(readLog);
  if (!equal(asBytes(fields[2], 256), bloomOf(logs))) throw new MalformedChainData();
  return { status: status.length, logs };
}

function readLog(item) {
  const fields = asList(item);
  if (fields.length !== 3 || asList(fields[1]).length > 4) throw new MalformedChainData();
  return { address: asBytes(fields[0], 20), topics: fields[1].map((topic) => asBytes(topic, 32)), data: asBytes(fields[2]) };
}

// The filter over addresses and topics: three bits of 2048 for each.
function bloomOf(logs) {
  const bits = new Uint8Array(256);
  for (const one of logs.flatMap(({ address, topics }) => [address, ...topics])) {
    const hashed = keccak256(one);
    for (const at of [0, 2, 4]) {
      const bit = ((hashed[at] << 8) | hashed[at + 1]) & 0x7ff;
      bits[255 - (bit >> 3)] |= 1 << (bit & 7);
    }
  }
  return bits;
}
