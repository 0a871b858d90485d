// Receipts of EVM chains, judged as appliance.anchors.evm.judge does: the transaction and what became of it in a block, and by
// whose word that block is the chain's.

const MOST_HEADERS_ON_TOP = 512;
const HEADER_RULES = ["ethereum", "clique", "ibft2", "qbft", "stated"];
const SEALED_RULES = ["clique", "ibft2", "qbft"];

const isSets = (sets) =>
  isListOf(isRecord({ addresses: isListOf(isAddress, MOST_VALIDATORS, 1), from_block: isNumber() }), 1024, 1)(sets) &&
  sets.every((one, at) => isDistinct(one.addresses) && (at === 0 || one.from_block > sets[at - 1].from_block));
const isTrustedHeaders = (headers) =>
  isListOf(isRecord({ hash: isHex32, number: isNumber() }), 65536)(headers) && isDistinct(headers.map((one) => one.number));
const isConsensus = isEither(
  isRecord({ rule: isOne("validators"), sets: isSets }),
  isRecord({ headers: isTrustedHeaders, rule: isOne("trusted_headers") }),
  isRecord({ rule: isOne("node") }),
);

// What a profile may say of a chain: no validators where headers hold no seals of them, no depth where seals are final.
function isEvmRules(rules) {
  const right = isRecord({
    accounts: isListOf(isAddress, 256, 1), chain_id: isNumber(1), consensus: isConsensus, contract: isContract, depth: isNumber(0, 512),
    genesis: isHex32, header_hash: isOne(...HEADER_RULES),
  })(rules);
  if (!right) return false;
  const { consensus: { rule }, header_hash: hashed, depth } = rules;
  if (rule === "validators") return SEALED_RULES.includes(hashed) && (hashed === "clique" || depth === 0);
  return hashed !== "stated" || rule === "node";
}

const isNodes = isListOf(isHex, MOST_PROOF_NODES);
const isEvmProof = isRecord({
  block: isEither(isHex, isRecord({ hash: isHex32, number: isNumber(), timestamp: isNumber() })), contract: isContract, genesis: isHex32,
  headers: isListOf(isHex, MOST_HEADERS_ON_TOP), index: isNumber(0, 2 ** 32 - 1), receipt: isHexOf(LARGEST_TRANSACTION_RECEIPT), receipt_proof: isNodes,
  transaction: isHexOf(LARGEST_TRANSACTION), transaction_proof: isNodes,
});

async function judgeEvm(said, commitment, rules) {
  const proof = readLedgerProof(said, isEvmProof);
  try {
    return await judgeChain(proof, commitment, rules);
  } catch (error) {
    if (!(error instanceof MalformedChainData)) throw error;
    return refuseAnchor("malformed", error.text.en, error.text.zh);
  }
}

async function judgeChain(proof, commitment, rules) {
  if (proof.genesis !== rules.genesis) refuseAnchor("wrong_genesis", `the node's first block was ${proof.genesis}, not ${rules.genesis}`, `节点的首个区块为 ${proof.genesis}，而非 ${rules.genesis}`);
  if (canonical(proof.contract) !== canonical(rules.contract)) {
    refuseAnchor("other_contract", "the receipt names another contract than the profile", "回执所列合约与配置不同");
  }
  const transaction = readTransaction(fromHex(proof.transaction));
  if (transaction.chainId !== BigInt(rules.chain_id)) {
    refuseAnchor("wrong_chain_id", `the transaction is for chain ${transaction.chainId}, not ${rules.chain_id}`, `交易所属链为 ${transaction.chainId}，而非 ${rules.chain_id}`);
  }
  const sender = hex(transaction.sender);
  if (!rules.accounts.includes(sender)) refuseAnchor("foreign_account", `the transaction is of ${sender}`, `交易属于账户 ${sender}`);
  const receipt = readTransactionReceipt(fromHex(proof.receipt));
  if (typeof proof.block !== "string") return judgeStated(proof, transaction, receipt, commitment, rules);
  const headers = [];
  for (const one of [proof.block, ...proof.headers]) {
    headers.push(readHeader(fromHex(one)));
    await rest();
  }
  const hashes = await linkHeaders(headers, rules.header_hash);
  await checkInBlock(proof, headers[0]);
  findCommitment(rules.contract, transaction, receipt, commitment);
  const { strength, by, note } = await weighBlocks(headers, hashes, rules);
  const onTop = headers.length - 1;
  if (by !== "trusted_header" && onTop < rules.depth) {
    refuseAnchor("not_deep_enough", `${onTop} blocks stand on the anchor's, not ${rules.depth}`, `锚定区块之上有 ${onTop} 个区块，而非 ${rules.depth} 个`);
  }
  return {
    strength, by, ...atOnce(Number(headers[0].timestamp) * 1000), place: blockPlace(headers[0].number, hex(hashes[0])), notes: [note],
    // secp256k1. Keccak-256, by which blocks name each other, has no name in a trust bundle.
    reliesOn: by === "validator_seals" ? [{ name: "ecdsa", bits: 256 }] : [],
  };
}

const blockPlace = (number, hashed) => text(`block ${number} (0x${hashed})`, `区块 ${number} (0x${hashed})`);

// The hashes of headers of which each is the child of the one before.
async function linkHeaders(headers, rule) {
  const hashes = [];
  for (const [at, header] of headers.entries()) {
    if (at && (!equal(header.parent, hashes[at - 1]) || header.number !== headers[at - 1].number + 1n)) {
      refuseAnchor("broken_chain", `block ${header.number} is no child of the block before it`, `区块 ${header.number} 不是前一区块的子区块`);
    }
    // No node takes a block that is older than its parent. Some chains have several in one second.
    if (at && header.timestamp < headers[at - 1].timestamp) {
      refuseAnchor("broken_chain", `block ${header.number} is older than the block before it`, `区块 ${header.number} 早于前一区块`);
    }
    hashes.push(blockHash(header, rule));
    await rest();
  }
  return hashes;
}

async function checkInBlock(proof, header) {
  const key = writeRlp(rlpInteger(BigInt(proof.index)));
  for (const [what, root, nodes, held, reason] of [
    [text("transaction", "交易"), header.transactionsRoot, proof.transaction_proof, proof.transaction, "transaction_not_in_block"],
    [text("receipt", "交易回执"), header.receiptsRoot, proof.receipt_proof, proof.receipt, "receipt_not_in_block"],
  ]) {
    let found = null;
    try {
      found = proveInTrie(root, key, nodes.map(fromHex));
      await rest();
    } catch (error) {
      if (!(error instanceof NotInTrie)) throw error;
    }
    if (found === null || hex(found) !== held) refuseAnchor(reason, `the ${what.en} is not in the block at index ${proof.index}`, `${what.zh}不在区块的第 ${proof.index} 位`);
  }
}

// A block that a node tells of, where headers are not of Ethereum's form.
function judgeStated(proof, transaction, receipt, commitment, rules) {
  if (rules.header_hash !== "stated") refuseAnchor("no_header", "the receipt has no header of the block, only what a node says of it", "回执没有区块头，只有节点的说法");
  if (proof.headers.length || proof.receipt_proof.length || proof.transaction_proof.length) {
    refuseAnchor("malformed", "proofs, from a chain whose headers are not of Ethereum's form", "该链的区块头并非以太坊形式，却附有证明");
  }
  findCommitment(rules.contract, transaction, receipt, commitment);
  const { number, hash, timestamp } = proof.block;
  const note = text(
    "The transaction is signed by the account; that it is in the block, and when that was, is the node's word.",
    "交易由该账户签名；其在区块之内及其时间，仅为节点的说法。",
  );
  return { strength: "attested", by: "node", ...atOnce(timestamp * 1000), place: blockPlace(number, hash), notes: [note], reliesOn: [] };
}

async function weighBlocks(headers, hashes, rules) {
  const { consensus, header_hash: rule } = rules;
  if (consensus.rule === "node") {
    return { strength: "attested", by: "node", note: text("That the block is the chain's is the node's word.", "该区块属于该链，仅为节点的说法。") };
  }
  if (consensus.rule === "trusted_headers") return weighTrusted(headers, hashes, consensus.headers);
  if (rule === "clique") {
    const count = await checkClique(headers, consensus.sets);
    return { strength: "proven", by: "validator_seals", note: text(`${count} signers stand behind the block.`, `${count} 个签名者为该区块背书。`) };
  }
  const count = await checkCommitted(headers[0], rule, consensus.sets);
  return { strength: "proven", by: "validator_seals", note: text(`${count} validators committed to the block.`, `${count} 个验证者确认了该区块。`) };
}

function weighTrusted(headers, hashes, trusted) {
  const known = new Map(trusted.map((one) => [BigInt(one.number), one.hash]));
  let found = null;
  for (const [at, { number }] of headers.entries()) {
    const expected = known.get(number);
    if (expected === undefined) continue;
    const hashed = hex(hashes[at]);
    if (expected !== hashed) refuseAnchor("contradicts_trusted_header", `block ${number} is ${hashed}, not ${expected}`, `区块 ${number} 为 ${hashed}，而非 ${expected}`);
    found = number;
  }
  if (found === null) {
    return { strength: "attested", by: "node", note: text("No block that the profile trusts descends from this one.", "配置所信任的区块均不是此区块的后代。") };
  }
  const own = found === headers[0].number;
  const note = own
    ? text(`Block ${found}, which the profile trusts, is this block.`, `配置所信任的区块 ${found} 即此区块。`)
    : text(`Block ${found}, which the profile trusts, descends from this block.`, `配置所信任的区块 ${found} 是此区块的后代。`);
  return { strength: "proven", by: "trusted_header", note };
}

// The validators of a block, by the set that holds there.
function membersAt(sets, number) {
  const held = sets.filter((one) => BigInt(one.from_block) <= number).at(-1);
  if (!held) refuseAnchor("no_validators", `the profile lists no validators for block ${number}`, `配置未列出区块 ${number} 的验证者`);
  return new Set(held.addresses);
}

function checkNamed(named, members, number) {
  if (named.size && (named.size !== members.size || [...named].some((one) => !members.has(one)))) {
    refuseAnchor("other_validators", `block ${number} names other validators than the profile lists for it`, `区块 ${number} 所列验证者与配置不同`);
  }
}

const foreignSeal = (number, who) => refuseAnchor("foreign_seal", `block ${number} is sealed by ${who}`, `区块 ${number} 由 ${who} 封签`);

// A signer may seal one of N/2 + 1 blocks in a row (EIP-225), so as many blocks are by as many signers.
async function checkClique(headers, sets) {
  const signers = [];
  let needed = 0;
  for (const header of headers) {
    const members = membersAt(sets, header.number);
    checkNamed(cliqueNamed(header), members, header.number);
    const half = Math.floor(members.size / 2);
    const signer = cliqueSigner(header);
    if (!members.has(signer)) foreignSeal(header.number, signer);
    if (signers.slice(Math.max(0, signers.length - half)).includes(signer)) {
      refuseAnchor("repeated_seal", `${signer} sealed block ${header.number} out of turn`, `${signer} 未轮到即封签了区块 ${header.number}`);
    }
    signers.push(signer);
    needed = Math.max(needed, half + 1);
    await rest();
  }
  const distinct = new Set(signers).size;
  if (distinct < needed) refuseAnchor("too_few_seals", `${distinct} signers stand behind the block, ${needed} are needed`, `${distinct} 个签名者为该区块背书，须有 ${needed} 个`);
  return distinct;
}

// Two thirds of the validators, rounded up, commit to one block at a height.
async function checkCommitted(header, rule, sets) {
  const members = membersAt(sets, header.number);
  checkNamed(validatorsNamed(header), members, header.number);
  const committed = await committedBy(header, rule);
  const foreign = [...committed].filter((one) => !members.has(one)).sort();
  if (foreign.length) foreignSeal(header.number, foreign[0]);
  const needed = Math.ceil((2 * members.size) / 3);
  if (committed.size < needed) refuseAnchor("too_few_seals", `${committed.size} validators sealed the block, not ${needed}`, `${committed.size} 个验证者封签了区块，须有 ${needed} 个`);
  return committed.size;
}
