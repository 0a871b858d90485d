// @ethereumjs/client, with what it lacks to run a chain of several Clique signers.
//
// The client is its own: chain, consensus, execution, state, pool, miner, devp2p, JSON-RPC. Alone, several signers of it
// come to a stand within seconds. What is mended here is named with the method of 0.10.5 that is at fault. Its modules
// are imported by path, since its package has no other entrance than the command line, and the libraries that it uses
// are the copies beside it, which need not be those of this directory.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { VMExecution } from '@ethereumjs/client/dist/esm/src/execution/index.js';
import { Miner } from '@ethereumjs/client/dist/esm/src/miner/index.js';
import { RlpxServer } from '@ethereumjs/client/dist/esm/src/net/server/index.js';
import { FullSynchronizer } from '@ethereumjs/client/dist/esm/src/sync/index.js';

export { Config, EthereumClient } from '@ethereumjs/client/dist/esm/src/index.js';
export { RPCManager } from '@ethereumjs/client/dist/esm/src/rpc/index.js';
export { Event } from '@ethereumjs/client/dist/esm/src/types.js';
export { createRPCServer, createRPCServerListener, MethodConfig } from '@ethereumjs/client/dist/esm/src/util/index.js';

const beside = createRequire(createRequire(import.meta.url).resolve('@ethereumjs/client/dist/esm/src/index.js'));
export const itsOwn = (name) => import(pathToFileURL(beside.resolve(name).replace('/dist/cjs/', '/dist/esm/')).href);
const { BlockHeader, cliqueSigner, createBlockFromBytesArray, createSealedCliqueBlockHeader } = await itsOwn('@ethereumjs/block');
const { RLPx } = await itsOwn('@ethereumjs/devp2p');
const { bytesToHex, equalsBytes } = await itsOwn('@ethereumjs/util');
const { BlockBuilder } = await itsOwn('@ethereumjs/vm');

const AWAY_MS = 1000;
const AGAIN_MS = 200;
const MOST_HEADERS = 64;

// VMExecution.setupMerkleVM does not tell the EVM how a seal names its signer, without which its interpreter refuses to
// run any contract on a Clique chain; and what the attempt left in the state goes into the block.
const { setupMerkleVM } = VMExecution.prototype;
VMExecution.prototype.setupMerkleVM = async function () {
  await setupMerkleVM.call(this);
  this.merkleVM.evm._optsCached.cliqueSigner = cliqueSigner;
};

// Eth.estimateGas runs a call under a header without extra data, which BlockHeader refuses on a Clique chain before there
// is anything to seal. A block that comes without a seal is refused all the same: its signer is the zero address.
const { _consensusFormatValidation } = BlockHeader.prototype;
BlockHeader.prototype._consensusFormatValidation = function () {
  if (this.extraData.length > 0) _consensusFormatValidation.call(this);
};

// BlockBuilder.addTransaction runs a transaction under a header that has no seal yet, so cliqueSigner() pays its fee to
// the zero address, while whoever executes the block pays the signer: the state roots differ, and the block is refused
// by everybody, its maker included. A seal over the very header that is run under names the signer.
const { addTransaction } = BlockBuilder.prototype;
BlockBuilder.prototype.addTransaction = async function (transaction, options) {
  const { cliqueSigner: key, ...rest } = this.blockOpts;
  const header = { ...this.headerData, gasUsed: this.gasUsed, extraData: undefined };
  this.headerData.extraData = createSealedCliqueBlockHeader(header, key, { ...rest, freeze: false }).extraData;
  return await addTransaction.call(this, transaction, options);
};

// Miner.queueNextAssembly has each signer out of turn wait for a random time from 0 on: on a busy machine two seal at
// once, each on its own, and neither may seal the next. Here they wait by their place, each a second longer.
Miner.prototype.queueNextAssembly = async function (timeout = this.period) {
  clearTimeout(this._nextAssemblyTimeoutId);
  if (!this.running) return;
  const number = this.service.chain.headers.height + 1n;
  const signers = this.service.chain.blockchain.consensus.cliqueActiveSigners(number);
  const place = signers.findIndex((one) => one.equals(this.config.accounts[0][0]));
  const away = (place - Number(number % BigInt(signers.length)) + signers.length) % signers.length;
  this._nextAssemblyTimeoutId = setTimeout(() => void this.assembleBlock(), timeout + away * AWAY_MS);
};

// Miner.assembleBlock throws where the block before is not executed yet, and then never again builds one: `assembling`
// stays set, and nothing asks it.
const { assembleBlock } = Miner.prototype;
Miner.prototype.assembleBlock = async function () {
  const { chain } = this.service;
  try {
    await this.execution.run();
    const executed = await chain.blockchain.getIteratorHead();
    if (!equalsBytes(executed.hash(), chain.blocks.latest.hash())) throw new Error('the newest block is not executed yet');
    await assembleBlock.call(this);
  } catch {
    this.assembling = false;
    await this.queueNextAssembly(AGAIN_MS);
  }
};

// FullSynchronizer.handleNewBlock takes children of its own head alone, and sends a block to the square root of its
// peers; the others hear a hash, which handleNewBlockHashes drops unless a fetcher runs; and best() starts none, because
// it weighs peers by what they had when they connected. So nodes that parted stay apart, and signers wait for ever. Here
// every block whose ancestors can be had is put, the heavier branch counts, and every peer gets every block.
let turn = Promise.resolve();
FullSynchronizer.prototype.handleNewBlock = function (block, peer) {
  turn = turn.then(() => take.call(this, block, peer)).catch(() => {}); // a block that does not hold is dropped
  return turn;
};

async function take(block, peer) {
  const { chain } = this;
  if (peer) this.addToKnownByPeer(block.hash(), peer);
  if (await has(chain, block.hash())) return;
  const branch = [block];
  while (!(await has(chain, branch[0].header.parentHash))) {
    const before = peer ? await ancestors(peer, branch[0], this.config.chainCommon) : [];
    if (before.length === 0) return;
    branch.unshift(...before);
  }
  for (const one of branch) if (!(await has(chain, one.hash()))) await put(chain, one);
  this.txPool.removeNewBlockTxs(branch);
  for (const other of this.pool.peers) await this.sendNewBlock(block, [other]).catch(() => {}); // one that is gone keeps none from the others
}

const has = async (chain, hash) => await chain.getBlock(hash).then(() => true, () => false);

async function ancestors(peer, block, common) {
  const answer = await peer.eth.getBlockHeaders({ block: block.header.parentHash, max: MOST_HEADERS, reverse: true });
  const headers = (answer?.[1] ?? []).filter((one) => !one.isGenesis());
  const bodies = (await peer.eth.getBlockBodies({ hashes: headers.map((one) => one.hash()) }))?.[1];
  if (bodies?.length !== headers.length) return [];
  return headers.map((one, place) => createBlockFromBytesArray([one.raw(), ...bodies[place]], { common, setHardfork: true })).reverse();
}

// CliqueConsensus.cliqueCheckRecentlySigned holds every block to the signers of the branch that counts, also one of
// another branch; and of two branches of one weight, Blockchain keeps what it had, so that two halves never agree: here
// the lower hash counts.
async function put(chain, block) {
  const { blockchain } = chain;
  const { consensus } = blockchain;
  const head = chain.blocks.latest;
  const recent = consensus._cliqueLatestBlockSigners;
  const beside = !equalsBytes(block.header.parentHash, head.hash());
  if (beside) {
    consensus._cliqueLatestBlockSigners = [];
    const first = bytesToHex(block.hash()) < bytesToHex(head.hash());
    const weigh = blockchain.getTotalDifficulty;
    blockchain.getTotalDifficulty = async (hash, number) =>
      (await weigh.call(blockchain, hash, number)) - (first && equalsBytes(hash, head.hash()) ? 1n : 0n);
  }
  let moved = true;
  try {
    await blockchain.putBlock(block);
  } finally {
    delete blockchain.getTotalDifficulty;
    moved = !equalsBytes((await blockchain.getCanonicalHeadBlock()).hash(), head.hash());
    if (beside && !moved) consensus._cliqueLatestBlockSigners = recent;
  }
  await chain.update(moved);
}

// RlpxServer binds every interface, and searches for peers: these stay on loopback, and are told whom to speak to.
RlpxServer.prototype.initDpt = async () => {};
const { listen } = RLPx.prototype;
RLPx.prototype.listen = function (port) {
  listen.call(this, port, '127.0.0.1');
};
