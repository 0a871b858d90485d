// A chain with Clique seals (EIP-225) in memory: blocks, forks, state and waiting transactions of one node.
//
// Consensus, execution, tries and signatures are @ethereumjs's. Ours is what a client adds around them: which branch
// counts, what waits to be mined, when this node seals. clique-node.mjs puts JSON-RPC and peers around it.
import { cliqueSigner, createBlock, createBlockFromRLP, createSealedCliqueBlock, genTransactionsTrieRoot } from '@ethereumjs/block';
import { CliqueConsensus, createBlockchain } from '@ethereumjs/blockchain';
import { createCustomCommon, Mainnet } from '@ethereumjs/common';
import { MerkleStateManager } from '@ethereumjs/statemanager';
import { createTxFromRLP } from '@ethereumjs/tx';
import { bytesToHex, concatBytes, createAddressFromPrivateKey, createAddressFromString, hexToBytes } from '@ethereumjs/util';
import { createVM, runBlock } from '@ethereumjs/vm';

const GAS_LIMIT = 30_000_000n;
const MOST_WAITING = 10_000;

export class Refused extends Error {
  constructor(message, code = -32000, data = undefined) {
    super(message);
    this.code = code;
    this.data = data;
  }
}

export class CliqueChain {
  /** settings: chainId, signers (addresses), alloc (address -> wei), period (s), hardfork, timestamp, key (of this node, or none). */
  static async create(settings) {
    const chain = new CliqueChain();
    chain.common = createCustomCommon(
      {
        name: 'clique', chainId: settings.chainId, defaultHardfork: settings.hardfork,
        consensus: { type: 'poa', algorithm: 'clique', clique: { period: settings.period, epoch: 30_000 } },
        // Every rule up to the chosen one holds from the first block on; none after it ever does.
        hardforks: Mainnet.hardforks.filter(({ name }) => !/Glacier|dao|mergeNetsplit/i.test(name)).map((hardfork, place, all) => ({
          name: hardfork.name,
          block: place <= all.findIndex(({ name }) => name === settings.hardfork) ? 0 : null,
        })).filter(({ block }) => block === 0),
      },
      Mainnet,
      { hardfork: settings.hardfork },
    );
    chain.key = settings.key ? hexToBytes(settings.key) : undefined;
    chain.address = chain.key && createAddressFromPrivateKey(chain.key);
    chain.signers = settings.signers.map((address) => createAddressFromString(address.toLowerCase())).sort((a, b) => (a.toString() < b.toString() ? -1 : 1));
    chain.period = settings.period;
    chain.states = new MerkleStateManager({ common: chain.common });
    await chain.states.generateCanonicalGenesis(Object.fromEntries(Object.entries(settings.alloc).map(([address, wei]) => [address.toLowerCase(), BigInt(wei)])));
    const london = chain.common.isActivatedEIP(1559);
    chain.genesis = createBlock(
      {
        header: {
          number: 0n, difficulty: 1n, gasLimit: GAS_LIMIT, timestamp: BigInt(settings.timestamp),
          stateRoot: await chain.states.getStateRoot(), baseFeePerGas: london ? 1_000_000_000n : undefined,
          extraData: concatBytes(new Uint8Array(32), ...chain.signers.map((signer) => signer.bytes), new Uint8Array(65)),
        },
      },
      { common: chain.common },
    );
    chain.known = new Map(); // hash -> {block, td, receipts, results}: every block of every branch
    chain.waiting = new Map(); // hash -> transaction
    chain.known.set(hash(chain.genesis), { block: chain.genesis, td: 1n, receipts: [], results: [] });
    await chain.#adopt([chain.genesis]);
    return chain;
  }

  get head() {
    return this.branch.at(-1);
  }

  /** The block of the branch that counts, by number or tag; undefined where there is none. */
  at(number) {
    if (number === 'earliest') return this.genesis;
    if (number === 'latest' || number === 'pending' || number === undefined) return this.head;
    return this.branch[Number(BigInt(number))];
  }

  counts(block) {
    return this.branch[Number(block.header.number)] === block;
  }

  async account(address, block = this.head) {
    await this.states.setStateRoot(block.header.stateRoot);
    return await this.states.getAccount(createAddressFromString(address.toLowerCase()));
  }

  async #vm(block) {
    await this.states.setStateRoot(block.header.stateRoot);
    return await createVM({ common: this.common, stateManager: this.states, blockchain: this.blockchain, evmOpts: { cliqueSigner } });
  }

  /** What a call does on the state after the head, changing nothing. */
  async call({ from, to, data, gas }) {
    const vm = await this.#vm(this.head);
    await this.states.checkpoint();
    try {
      return await vm.evm.runCall({
        caller: from ? createAddressFromString(from) : undefined, to: to ? createAddressFromString(to) : undefined,
        data: hexToBytes(data ?? '0x'), gasLimit: gas ? BigInt(gas) : 10_000_000n, block: this.head,
      });
    } finally {
      await this.states.revert();
    }
  }

  // The branch that counts is laid once more into a fresh blockchain where it is not a mere growth: their consensus
  // keeps what it knows of recent signers for one branch only.
  async #adopt(branch) {
    const grown = this.branch !== undefined && this.branch.every((block, place) => block === branch[place]);
    const from = grown ? this.branch.length : 1;
    if (!grown) {
      const common = this.common.copy();
      this.blockchain = await createBlockchain({
        common, genesisBlock: this.genesis, consensusDict: { clique: new CliqueConsensus() }, validateBlocks: true, validateConsensus: true,
      });
    }
    for (const block of branch.slice(from)) await this.blockchain.putBlock(block);
    const left = (this.branch ?? []).filter((block) => branch[Number(block.header.number)] !== block);
    this.branch = branch;
    for (const block of branch.slice(from)) for (const tx of block.transactions) this.waiting.delete(hash(tx));
    for (const block of left) for (const tx of block.transactions) if (!this.place(hash(tx))) this.waiting.set(hash(tx), tx);
    await this.#forgetUsed();
  }

  async #forgetUsed() {
    for (const [name, tx] of this.waiting) {
      const account = await this.account(tx.getSenderAddress().toString());
      if (tx.nonce < (account?.nonce ?? 0n)) this.waiting.delete(name);
    }
  }

  /** Where a transaction stands in the branch that counts. */
  place(name) {
    for (let number = this.branch.length - 1; number >= 0; number -= 1) {
      const index = this.branch[number].transactions.findIndex((tx) => hash(tx) === name);
      if (index >= 0) return { block: this.branch[number], index };
    }
    return undefined;
  }

  async #execute(block, parent, generate) {
    const vm = await this.#vm(parent);
    return await runBlock(vm, { block, root: parent.header.stateRoot, generate, skipBlockValidation: true });
  }

  /** Take a block of a peer. Its parent must be known. Gives whether it was new. */
  async take(raw) {
    const block = createBlockFromRLP(raw, { common: this.common });
    if (this.known.has(hash(block))) return false;
    const parent = this.known.get(bytesToHex(block.header.parentHash));
    if (!parent) throw new Refused('parent unknown');
    const result = await this.#execute(block, parent.block, false);
    if (!(await block.transactionsTrieIsValid())) throw new Refused('wrong transactions root');
    await this.#keep(block, parent, result);
    return true;
  }

  async #keep(block, parent, result) {
    const td = parent.td + block.header.difficulty;
    this.known.set(hash(block), { block, td, receipts: result.receipts, results: result.results });
    const best = this.known.get(hash(this.head)).td;
    // Of two branches of one weight, all nodes take the same.
    if (td < best || (td === best && hash(block) > hash(this.head))) return;
    const branch = [block];
    while (!branch[0].header.isGenesis()) branch.unshift(this.known.get(bytesToHex(branch[0].header.parentHash)).block);
    try {
      await this.#adopt(branch);
    } catch (error) {
      this.known.delete(hash(block));
      throw error;
    }
  }

  /** Whether this node may seal the next block: one of N/2+1 that follow each other is the most. */
  get mayFollow() {
    if (!this.address) return false;
    const recent = this.branch.slice(1).slice(-Math.floor(this.signers.length / 2));
    return !recent.some((block) => signerOf(block).equals(this.address));
  }

  get inTurn() {
    return this.signers[Number((this.head.header.number + 1n) % BigInt(this.signers.length))].equals(this.address);
  }

  /** Seal the next block of what waits. Gives its bytes. */
  async seal() {
    if (!this.mayFollow) throw new Refused('signed recently');
    const parent = this.head;
    const base = this.common.isActivatedEIP(1559) ? parent.header.calcNextBaseFee() : undefined;
    const header = {
      number: parent.header.number + 1n, parentHash: parent.hash(), gasLimit: GAS_LIMIT, baseFeePerGas: base,
      difficulty: this.inTurn ? 2n : 1n, timestamp: parent.header.timestamp + BigInt(Math.max(1, this.period)), extraData: new Uint8Array(97),
    };
    const now = BigInt(Math.floor(Date.now() / 1000));
    if (this.period > 0 && header.timestamp < now) header.timestamp = now;
    const transactions = await this.#choose(base ?? 0n);
    // Fees go to whoever sealed, and that is read from the seal: a first one stands in while the block is executed.
    const draft = createSealedCliqueBlock({ header, transactions }, this.key, { common: this.common });
    const result = await this.#execute(draft, parent, true);
    Object.assign(header, {
      stateRoot: result.stateRoot, receiptTrie: result.receiptsRoot, logsBloom: result.logsBloom, gasUsed: result.gasUsed,
      transactionsTrie: await genTransactionsTrieRoot(transactions),
    });
    const block = createSealedCliqueBlock({ header, transactions }, this.key, { common: this.common });
    await this.#keep(block, this.known.get(hash(parent)), result);
    return block.serialize();
  }

  async #choose(base) {
    const senders = new Map();
    for (const tx of this.waiting.values()) {
      const sender = tx.getSenderAddress().toString();
      senders.set(sender, [...(senders.get(sender) ?? []), tx]);
    }
    const chosen = [];
    let gas = 0n;
    for (const [sender, theirs] of senders) {
      let { nonce, balance } = (await this.account(sender)) ?? { nonce: 0n, balance: 0n };
      for (const tx of theirs.sort((a, b) => Number(a.nonce - b.nonce))) {
        const cost = tx.value + tx.gasLimit * price(tx);
        if (tx.nonce !== nonce || price(tx) < base || cost > balance || gas + tx.gasLimit > GAS_LIMIT) break;
        [nonce, balance, gas] = [nonce + 1n, balance - cost, gas + tx.gasLimit];
        chosen.push(tx);
      }
    }
    return chosen;
  }

  /** Take a transaction to be mined, as clients do: another of the same nonce only where it pays a tenth more. */
  async submit(raw) {
    let tx;
    try {
      tx = createTxFromRLP(raw, { common: this.common });
    } catch (error) {
      throw new Refused(`rlp: ${error.message}`);
    }
    const name = hash(tx);
    if (!tx.isSigned() || !tx.verifySignature()) throw new Refused('invalid sender');
    if (tx.type === 0 && !tx.supports(155)) throw new Refused('only replay-protected (EIP-155) transactions allowed over RPC');
    const sender = tx.getSenderAddress().toString();
    const account = (await this.account(sender)) ?? { nonce: 0n, balance: 0n };
    if (this.waiting.has(name)) throw new Refused('already known');
    if (tx.nonce < account.nonce) throw new Refused(`nonce too low: next nonce ${account.nonce}, tx nonce ${tx.nonce}`);
    if (tx.gasLimit < tx.getIntrinsicGas()) throw new Refused('intrinsic gas too low');
    if (tx.value + tx.gasLimit * price(tx) > account.balance) throw new Refused('insufficient funds for gas * price + value');
    for (const [other, old] of this.waiting) {
      if (old.nonce !== tx.nonce || old.getSenderAddress().toString() !== sender) continue;
      if (price(tx) * 10n < price(old) * 11n || tip(tx) * 10n < tip(old) * 11n) throw new Refused('replacement transaction underpriced');
      this.waiting.delete(other);
    }
    if (this.waiting.size >= MOST_WAITING) throw new Refused('txpool is full');
    this.waiting.set(name, tx);
    return name;
  }

  /** The nonce after all that wait without a gap. */
  async pendingNonce(address) {
    let nonce = (await this.account(address))?.nonce ?? 0n;
    const theirs = [...this.waiting.values()].filter((tx) => tx.getSenderAddress().toString() === address.toLowerCase());
    while (theirs.some((tx) => tx.nonce === nonce)) nonce += 1n;
    return nonce;
  }
}

export const hash = (thing) => bytesToHex(thing.hash());
const price = (tx) => tx.maxFeePerGas ?? tx.gasPrice;
const tip = (tx) => tx.maxPriorityFeePerGas ?? tx.gasPrice;

export function signerOf(block) {
  return cliqueSigner(block.header);
}
