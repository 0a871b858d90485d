// Judges receipts of EVM anchors with npm's libraries alone: RLP, tries, transactions and signatures are @ethereumjs's.
//
//   node check-evm-receipt.mjs CASES.json
//
// CASES.json is a list of {proof, rules, commitment}: the proof of a receipt, the rules of a ledger's profile, 32 bytes in
// hexadecimal. Prints JSON: of each case "proven" or "attested", or why it is refused, in the words of docs/anchors-evm-receipts.md.
import { readFileSync } from 'node:fs'
import { Common, Mainnet } from '@ethereumjs/common'
import { verifyMerkleProof } from '@ethereumjs/mpt'
import { RLP } from '@ethereumjs/rlp'
import { createTxFromRLP } from '@ethereumjs/tx'
import {
  bigIntToUnpaddedBytes, bytesToBigInt, bytesToUnprefixedHex as shown, concatBytes, ecrecover, equalsBytes, pubToAddress,
  unprefixedHexToBytes as bytes, utf8ToBytes,
} from '@ethereumjs/util'
import { keccak_256 as keccak } from '@noble/hashes/sha3.js'

const SHAPES = new URL('../../../appliance/anchors/evm/contracts/', import.meta.url)
const VANITY = 32
const SEAL = 65

class Refused extends Error {}
const demand = (holds, reason) => {
  if (!holds) throw new Refused(reason)
}
// What libraries throw at data that is not of its form.
const formed = (read) => {
  try {
    return read()
  } catch (error) {
    throw error instanceof Refused ? error : new Refused('malformed')
  }
}

// --- headers ----------------------------------------------------------------------------------------------------------

function readHeader(text) {
  const fields = RLP.decode(bytes(text))
  demand(Array.isArray(fields) && fields.length >= 15, 'malformed')
  const number = Number(bytesToBigInt(fields[8]))
  const time = bytesToBigInt(fields[11])
  return { fields, number, time, parent: fields[0], transactionsRoot: fields[4], receiptsRoot: fields[5], extra: fields[12] }
}

const withExtra = ({ fields }, extra) => RLP.encode([...fields.slice(0, 12), extra, ...fields.slice(13)])

function validatorsData(header) {
  const data = RLP.decode(header.extra)
  demand(Array.isArray(data) && data.length === 5, 'malformed')
  return data
}

function hashOf(header, rule) {
  if (rule === 'ethereum' || rule === 'clique') return keccak(RLP.encode(header.fields))
  const kept = validatorsData(header).slice(0, 3)
  return keccak(withExtra(header, RLP.encode(rule === 'qbft' ? [...kept, new Uint8Array(), []] : kept)))
}

function signerOf(digest, seal) {
  demand(seal.length === SEAL && seal[64] < 2, 'malformed')
  return shown(pubToAddress(ecrecover(digest, BigInt(seal[64] + 27), seal.subarray(0, 32), seal.subarray(32, 64))))
}

function membersAt(number, { sets }) {
  const held = sets.filter((set) => set.from_block <= number)
  demand(held.length > 0, 'no_validators')
  return held.at(-1).addresses
}

const sameMembers = (named, members) => named.length === 0 || [...new Set(named)].sort().join() === [...members].sort().join()

function checkClique(headers, validators) {
  const signers = []
  let needed = 0
  for (const header of headers) {
    const members = membersAt(header.number, validators)
    const named = shown(header.extra.subarray(VANITY, -SEAL)).match(/.{40}/g) ?? []
    demand(sameMembers(named, members), 'other_validators')
    const signer = signerOf(keccak(withExtra(header, header.extra.subarray(0, -SEAL))), header.extra.subarray(-SEAL))
    demand(members.includes(signer), 'foreign_seal')
    const half = Math.floor(members.length / 2)
    demand(half === 0 || !signers.slice(-half).includes(signer), 'repeated_seal')
    signers.push(signer)
    needed = Math.max(needed, half + 1)
  }
  demand(new Set(signers).size >= needed, 'too_few_seals')
}

function checkCommitted(header, rule, validators) {
  const members = membersAt(header.number, validators)
  const data = validatorsData(header)
  demand(sameMembers(data[1].map(shown), members), 'other_validators')
  const digest = keccak(withExtra(header, RLP.encode(rule === 'qbft' ? [...data.slice(0, 4), []] : data.slice(0, 4))))
  const committed = new Set(data[4].map((seal) => signerOf(digest, seal)))
  for (const signer of committed) demand(members.includes(signer), 'foreign_seal')
  demand(committed.size >= Math.ceil((2 * members.length) / 3), 'too_few_seals')
}

function strengthOf(headers, hashes, rules) {
  const { consensus, header_hash: rule, depth } = rules
  let strength = 'proven'
  let needed = depth
  if (consensus.rule === 'validators' && rule === 'clique') checkClique(headers, consensus)
  else if (consensus.rule === 'validators') checkCommitted(headers[0], rule, consensus)
  else {
    strength = 'attested'
    for (const { number, hash } of consensus.headers ?? []) {
      const at = number - headers[0].number
      if (at < 0 || at >= headers.length) continue
      demand(shown(hashes[at]) === hash, 'contradicts_trusted_header')
      strength = 'proven'
      needed = 0
    }
  }
  demand(headers.length - 1 >= needed, 'not_deep_enough')
  return strength
}

// --- the transaction, its receipt, and what they hold -----------------------------------------------------------------

function readTransaction(text, chainId) {
  const raw = bytes(text)
  // The library takes transactions for one chain; which one this is for says its first field, or its v.
  const fields = RLP.decode(raw[0] === 2 ? raw.subarray(1) : raw)
  const own = raw[0] === 2 ? bytesToBigInt(fields[0]) : (bytesToBigInt(fields[6]) - 35n) / 2n
  const common = new Common({ chain: { ...Mainnet, chainId: Number(own) }, hardfork: 'london' })
  const tx = createTxFromRLP(raw, { common })
  demand(tx.isSigned() && tx.verifySignature(), 'malformed')
  demand(own === BigInt(chainId), 'wrong_chain_id')
  return { sender: shown(tx.getSenderAddress().bytes), to: tx.to ? shown(tx.to.bytes) : '', data: tx.data }
}

function bloomOf(logs) {
  const bloom = new Uint8Array(256)
  for (const entry of logs.flatMap(({ address, topics }) => [address, ...topics])) {
    const digest = keccak(bytes(entry))
    for (const at of [0, 2, 4]) {
      const bit = ((digest[at] << 8) | digest[at + 1]) & 0x7ff
      bloom[255 - (bit >> 3)] |= 1 << (bit & 7)
    }
  }
  return bloom
}

function readReceipt(text) {
  const encoded = bytes(text)
  const fields = RLP.decode(encoded[0] < 0x80 ? encoded.subarray(1) : encoded)
  demand(Array.isArray(fields) && fields.length === 4, 'malformed')
  const logs = fields[3].map(([address, topics, data]) => ({ address: shown(address), topics: topics.map(shown), data }))
  demand(equalsBytes(fields[2], bloomOf(logs)), 'malformed')
  return { succeeded: equalsBytes(fields[0], new Uint8Array([1])), logs }
}

async function checkInBlock(root, index, nodes, value, reason) {
  const key = RLP.encode(bigIntToUnpaddedBytes(BigInt(index)))
  const proof = nodes.map(bytes)
  const rooted = proof.length > 0 && equalsBytes(keccak(proof[0]), root)
  const found = rooted ? await verifyMerkleProof(key, proof).catch(() => null) : null
  demand(found !== null && shown(found) === value, reason)
  // The library overlooks nodes that nothing refers to.
  for (const [at, node] of proof.entries()) {
    const above = at === 0 ? shown(root) : shown(proof[at - 1])
    demand(above.includes(shown(keccak(node))), reason)
  }
}

const types = (signature) => signature.slice(signature.indexOf('(') + 1, -1).split(',').filter(Boolean)
const topicOf = (signature) => shown(keccak(utf8ToBytes(signature)))
const valueOf = (argument, type, commitment) => {
  if (argument !== 'commitment') return utf8ToBytes(argument.slice('text:'.length))
  return type === 'string' ? utf8ToBytes(commitment) : bytes(commitment)
}
const word = (value) => bytes(BigInt(value).toString(16).padStart(64, '0'))

function callData({ function: signature, arguments: given }, commitment) {
  const heads = []
  const tails = []
  let offset = 32 * given.length
  for (const [at, type] of types(signature).entries()) {
    const value = valueOf(given[at], type, commitment)
    if (type === 'bytes32') {
      heads.push(value)
      continue
    }
    const tail = concatBytes(word(value.length), value, new Uint8Array((32 - (value.length % 32)) % 32))
    heads.push(word(offset))
    tails.push(tail)
    offset += tail.length
  }
  return concatBytes(bytes(topicOf(signature).slice(0, 8)), ...heads, ...tails)
}

function holds(event, { topics, data }, commitment) {
  if (topics.length !== 1 + event.indexed.length) return false
  const type = types(event.signature)[event.commitment]
  const value = valueOf('commitment', type, commitment)
  const place = event.indexed.indexOf(event.commitment)
  if (place >= 0) return topics[1 + place] === shown(type === 'bytes32' ? value : keccak(value))
  const slot = event.commitment - event.indexed.filter((at) => at < event.commitment).length
  const read = (at, size) => data.subarray(Number(at), Number(at) + size)
  const head = read(32 * slot, 32)
  if (type === 'bytes32') return equalsBytes(head, value)
  const start = bytesToBigInt(head)
  return equalsBytes(read(start, 32), word(value.length)) && equalsBytes(read(start + 32n, value.length), value)
}

function find(contract, transaction, receipt, commitment) {
  const shape =
    typeof contract.shape === 'string' ? JSON.parse(readFileSync(new URL(`${contract.shape}.json`, SHAPES), 'utf8')) : contract.shape
  const address = contract.address ?? transaction.sender
  demand(receipt.succeeded, 'failed_transaction')
  if (!shape.event) {
    demand(transaction.to === address, 'other_contract')
    const expected = shape.calls.length ? callData(shape.calls.at(-1), commitment) : bytes(commitment)
    return demand(equalsBytes(transaction.data, expected), 'other_commitment')
  }
  const ofEvent = receipt.logs.filter(({ topics }) => topics[0] === topicOf(shape.event.signature))
  const ofContract = receipt.logs.filter((log) => log.address === address)
  const both = ofEvent.filter((log) => ofContract.includes(log))
  if (both.some((log) => holds(shape.event, log, commitment))) return
  demand(both.length === 0, 'other_commitment')
  demand(ofEvent.length === 0 && ofContract.length > 0, 'other_contract')
  throw new Refused('other_event')
}

async function judge({ proof, rules, commitment }) {
  demand(proof.genesis === rules.genesis, 'wrong_genesis')
  demand(JSON.stringify(proof.contract) === JSON.stringify(rules.contract), 'other_contract')
  const transaction = formed(() => readTransaction(proof.transaction, rules.chain_id))
  demand(rules.accounts.includes(transaction.sender), 'foreign_account')
  const receipt = formed(() => readReceipt(proof.receipt))
  if (typeof proof.block !== 'string') {
    demand(rules.header_hash === 'stated', 'no_header')
    demand(!proof.headers.length && !proof.receipt_proof.length && !proof.transaction_proof.length, 'malformed')
    find(rules.contract, transaction, receipt, commitment)
    return 'attested'
  }
  demand(rules.header_hash !== 'stated', 'malformed')
  const headers = formed(() => [proof.block, ...proof.headers].map(readHeader))
  const hashes = []
  for (const [at, header] of headers.entries()) {
    demand(at === 0 || (equalsBytes(header.parent, hashes.at(-1)) && header.number === headers[at - 1].number + 1), 'broken_chain')
    demand(at === 0 || header.time >= headers[at - 1].time, 'broken_chain')
    hashes.push(formed(() => hashOf(header, rules.header_hash)))
  }
  const { index } = proof
  const [{ transactionsRoot, receiptsRoot }] = headers
  await checkInBlock(transactionsRoot, index, proof.transaction_proof, proof.transaction, 'transaction_not_in_block')
  await checkInBlock(receiptsRoot, index, proof.receipt_proof, proof.receipt, 'receipt_not_in_block')
  find(rules.contract, transaction, receipt, commitment)
  return formed(() => strengthOf(headers, hashes, rules))
}

const verdicts = []
for (const each of JSON.parse(readFileSync(process.argv[2], 'utf8'))) {
  verdicts.push(
    await judge(each).catch((error) => {
      if (error instanceof Refused) return error.message
      throw error
    }),
  )
}
console.log(JSON.stringify(verdicts))
