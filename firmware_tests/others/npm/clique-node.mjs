// A node of a chain with Clique seals: JSON-RPC (eth_*) over HTTP, peers, and a signer that seals by itself or on command.
//
//   node clique-node.mjs SETTINGS.json     prints {"port": N, "genesis": "0x..."} on one line and serves until it is ended
//
// settings beside clique-chain.mjs's: sealing ("period": by itself; "command": test_seal alone), port (0: a free one).
// Methods that begin with test_ are for whoever runs the chain: test_peers, test_seal, test_sealing, test_blocks, test_forget.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createLegacyTx } from '@ethereumjs/tx';
import { bytesToHex, createAddressFromString, hexToBytes } from '@ethereumjs/util';
import { CliqueChain, Refused, hash, signerOf } from './clique-chain.mjs';

const MOST_BYTES = 8 * 1024 * 1024;
const settings = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const chain = await CliqueChain.create(settings);
let sealing = settings.sealing === 'period';
let peers = [];
let turn = Promise.resolve();

/** One thing at a time: the state is one trie whose root is set to and fro. */
function alone(work) {
  const done = turn.then(work);
  turn = done.catch(() => {});
  return done;
}

const number = (value) => '0x' + BigInt(value).toString(16);

function transactionForm(tx, block, index) {
  const form = {
    hash: hash(tx), type: number(tx.type), nonce: number(tx.nonce), from: tx.getSenderAddress().toString(), to: tx.to?.toString() ?? null,
    value: number(tx.value), gas: number(tx.gasLimit), input: bytesToHex(tx.data), v: number(tx.v), r: number(tx.r), s: number(tx.s),
    blockHash: block ? hash(block) : null, blockNumber: block ? number(block.header.number) : null, transactionIndex: block ? number(index) : null,
    chainId: number(settings.chainId),
  };
  if (tx.type === 2) {
    const base = block?.header.baseFeePerGas;
    const most = base === undefined || tx.maxFeePerGas < base + tx.maxPriorityFeePerGas ? tx.maxFeePerGas : base + tx.maxPriorityFeePerGas;
    Object.assign(form, {
      maxFeePerGas: number(tx.maxFeePerGas), maxPriorityFeePerGas: number(tx.maxPriorityFeePerGas), gasPrice: number(most), yParity: number(tx.v),
    });
  } else {
    form.gasPrice = number(tx.gasPrice);
  }
  if (tx.type !== 0) {
    form.accessList = tx.accessList.map(([address, keys]) => ({ address: bytesToHex(address), storageKeys: keys.map((key) => bytesToHex(key)) }));
  }
  return form;
}

function receiptForm(block, index) {
  const { receipts, results } = chain.known.get(hash(block));
  const tx = block.transactions[index];
  const before = receipts.slice(0, index).reduce((sum, receipt) => sum + receipt.logs.length, 0);
  const of = {
    transactionHash: hash(tx), transactionIndex: number(index), blockHash: hash(block), blockNumber: number(block.header.number),
  };
  return {
    ...of, type: number(tx.type), status: number(receipts[index].status), cumulativeGasUsed: number(receipts[index].cumulativeBlockGasUsed),
    gasUsed: number(results[index].totalGasSpent), logsBloom: bytesToHex(receipts[index].bitvector), from: tx.getSenderAddress().toString(),
    to: tx.to?.toString() ?? null, contractAddress: results[index].createdAddress?.toString() ?? null,
    effectiveGasPrice: transactionForm(tx, block, index).gasPrice,
    logs: receipts[index].logs.map(([address, topics, data], place) => ({
      ...of, address: bytesToHex(address), topics: topics.map((topic) => bytesToHex(topic)), data: bytesToHex(data),
      logIndex: number(before + place), removed: false,
    })),
  };
}

function blockForm(block, whole) {
  const header = block.header;
  const form = {
    hash: hash(block), parentHash: bytesToHex(header.parentHash), sha3Uncles: bytesToHex(header.uncleHash), miner: header.coinbase.toString(),
    stateRoot: bytesToHex(header.stateRoot), transactionsRoot: bytesToHex(header.transactionsTrie), receiptsRoot: bytesToHex(header.receiptTrie),
    logsBloom: bytesToHex(header.logsBloom), difficulty: number(header.difficulty), number: number(header.number), gasLimit: number(header.gasLimit),
    gasUsed: number(header.gasUsed), timestamp: number(header.timestamp), extraData: bytesToHex(header.extraData), mixHash: bytesToHex(header.mixHash),
    nonce: bytesToHex(header.nonce), totalDifficulty: number(chain.known.get(hash(block)).td), size: number(block.serialize().length), uncles: [],
    transactions: block.transactions.map((tx, index) => (whole ? transactionForm(tx, block, index) : hash(tx))),
  };
  if (header.baseFeePerGas !== undefined) form.baseFeePerGas = number(header.baseFeePerGas);
  return form;
}

const methods = {
  web3_clientVersion: () => 'clique-node',
  eth_chainId: () => number(settings.chainId),
  net_version: () => String(settings.chainId),
  eth_syncing: () => false,
  eth_blockNumber: () => number(chain.head.header.number),
  eth_getBlockByNumber: (tag, whole) => (chain.at(tag) ? blockForm(chain.at(tag), whole) : null),
  eth_getBlockByHash: (name, whole) => (chain.known.has(name) ? blockForm(chain.known.get(name).block, whole) : null),
  eth_getBlockReceipts: (tag) => {
    const block = tag.length === 66 ? chain.known.get(tag)?.block : chain.at(tag);
    return block ? block.transactions.map((_, index) => receiptForm(block, index)) : null;
  },
  eth_getTransactionByHash: (name) => {
    const place = chain.place(name);
    if (place) return transactionForm(place.block.transactions[place.index], place.block, place.index);
    return chain.waiting.has(name) ? transactionForm(chain.waiting.get(name)) : null;
  },
  eth_getTransactionReceipt: (name) => {
    const place = chain.place(name);
    return place ? receiptForm(place.block, place.index) : null;
  },
  eth_getTransactionCount: async (address, tag) =>
    number(tag === 'pending' ? await chain.pendingNonce(address) : ((await chain.account(address, chain.at(tag)))?.nonce ?? 0n)),
  eth_getBalance: async (address, tag) => number((await chain.account(address, chain.at(tag)))?.balance ?? 0n),
  eth_gasPrice: () => number((chain.head.header.baseFeePerGas ?? 0n) + 1_000_000_000n),
  eth_maxPriorityFeePerGas: () => number(1_000_000_000n),
  eth_call: async (call) => {
    const { execResult } = await chain.call({ ...call, data: call.input ?? call.data });
    if (execResult.exceptionError) throw new Refused('execution reverted', 3, bytesToHex(execResult.returnValue));
    return bytesToHex(execResult.returnValue);
  },
  eth_estimateGas: async (call) => {
    const { execResult } = await chain.call({ ...call, data: call.input ?? call.data });
    if (execResult.exceptionError) throw new Refused('execution reverted', 3, bytesToHex(execResult.returnValue));
    const outer = createLegacyTx({ to: call.to, data: call.input ?? call.data, gasLimit: 10_000_000n }, { common: chain.common });
    return number(((outer.getIntrinsicGas() + execResult.executionGasUsed) * 12n) / 10n);
  },
  eth_getCode: async (address) => {
    await chain.account(address);
    return bytesToHex(await chain.states.getCode(createAddressFromString(address)));
  },
  eth_sendRawTransaction: async (raw) => {
    const name = await chain.submit(hexToBytes(raw));
    for (const peer of peers) tell(peer, 'peer_transaction', raw);
    return name;
  },
  peer_transaction: async (raw) => {
    try {
      return await chain.submit(hexToBytes(raw));
    } catch (error) {
      return error.message;
    }
  },
  peer_block: async (raw, from) => {
    try {
      return await chain.take(hexToBytes(raw));
    } catch (error) {
      if (error.message === 'parent unknown' && from) void catchUp(from);
      return false;
    }
  },
  clique_getSigners: () => chain.signers.map(String),
  test_signer: (tag) => signerOf(chain.at(tag)).toString(),
  test_may_seal: (inTurn) => chain.mayFollow && (!inTurn || chain.inTurn),
  test_sealing: (on) => (sealing = on),
  test_forget: () => {
    chain.waiting.clear();
    return true;
  },
  test_blocks: (after) => chain.branch.slice(after + 1).map((block) => bytesToHex(block.serialize())),
};

// What asks peers must not hold up what they ask here at the same time.
const unlocked = {
  test_peers: async (list) => {
    peers = list;
    await Promise.all(peers.map(catchUp));
    return true;
  },
  /** Seal a block, with all that waits. Peers have it when this answers. */
  test_seal: async () => {
    const [raw, name] = await alone(async () => [bytesToHex(await chain.seal()), hash(chain.head)]);
    await Promise.all(peers.map((peer) => tell(peer, 'peer_block', raw, own)));
    return name;
  },
};

async function ask(peer, method, ...params) {
  const answer = await fetch(peer, {
    method: 'POST', body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), headers: { 'content-type': 'application/json' },
    signal: AbortSignal.timeout(5_000),
  });
  return (await answer.json()).result;
}

async function tell(peer, method, ...params) {
  try {
    return await ask(peer, method, ...params);
  } catch {
    return undefined; // a peer that is away hears of it when it asks
  }
}

async function catchUp(peer) {
  const raws = await tell(peer, 'test_blocks', 0);
  for (const raw of raws ?? []) await alone(() => chain.take(hexToBytes(raw)).catch(() => {}));
}

/** A signer in turn seals when the period is over; one out of turn waits for longer than a busy machine delays the other: two at once part the chain. */
async function sealAtTimes() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const due = (Number(chain.head.header.timestamp) + settings.period) * 1000 + (chain.inTurn ? 0 : 1500 + Math.random() * 1500);
    if (!sealing || Date.now() < due || !chain.mayFollow) continue;
    const raw = await alone(async () => (Date.now() >= due && chain.mayFollow ? bytesToHex(await chain.seal()) : undefined)).catch(() => undefined);
    if (raw) for (const peer of peers) void tell(peer, 'peer_block', raw, own);
  }
}

async function answerOne(call) {
  const { id = null, method, params = [] } = call ?? {};
  try {
    if (Object.hasOwn(unlocked, method)) return { jsonrpc: '2.0', id, result: await unlocked[method](...params) };
    if (!Object.hasOwn(methods, method)) throw new Refused(`the method ${method} does not exist/is not available`, -32601);
    const result = await alone(() => methods[method](...params));
    return { jsonrpc: '2.0', id, result };
  } catch (error) {
    return { jsonrpc: '2.0', id, error: { code: error.code ?? -32603, message: error.message, ...(error.data ? { data: error.data } : {}) } };
  }
}

const server = createServer((request, response) => {
  const pieces = [];
  let size = 0;
  request.on('data', (piece) => {
    size += piece.length;
    if (size > MOST_BYTES) request.destroy();
    else pieces.push(piece);
  });
  request.on('end', async () => {
    let answer;
    try {
      const body = JSON.parse(Buffer.concat(pieces).toString());
      answer = Array.isArray(body) ? await Promise.all(body.map(answerOne)) : await answerOne(body);
    } catch {
      answer = { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'parse error' } };
    }
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer));
  });
});
let own;
server.listen(settings.port ?? 0, '127.0.0.1', () => {
  own = `http://127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ port: server.address().port, genesis: hash(chain.genesis) }));
  if (chain.address) void sealAtTimes();
});
