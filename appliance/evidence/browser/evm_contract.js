// Where a commitment goes on an EVM chain: contracts as data (appliance.anchors.evm.shapes), their calls and events in the ABI.
// SHAPES holds those that come with the box; it is put before these scripts.

const SHAPE_NAMES = ["calldata", "cmevi", "event", "evidence"];
const VALUE_TYPES = ["bytes32", "bytes", "string"];
const isDynamic = (type) => type === "bytes" || type === "string";

// The types in a signature such as anchor(bytes32); null where it is none.
function parameterTypes(signature) {
  const found = /^([\p{ID_Start}_][\p{ID_Continue}]*)\((.*)\)$/su.exec(signature);
  if (!found) return null;
  const types = found[2] === "" ? [] : found[2].split(",");
  return types.every((one) => /^[A-Za-z0-9]+$/.test(one)) ? types : null;
}

// Whether a call's arguments fit its function.
function isCallOf({ arguments: given, function: signature }) {
  const types = parameterTypes(signature);
  return types !== null && types.length === given.length && types.every((type, at) => VALUE_TYPES.includes(type) && (given[at] === "commitment" || type !== "bytes32"));
}

function isEventOf({ commitment, indexed, signature }) {
  const types = parameterTypes(signature);
  const right = types !== null && commitment < types.length && VALUE_TYPES.includes(types[commitment]);
  return right && indexed.every((one, at) => one < types.length && (at === 0 || one > indexed[at - 1]));
}

const CALL_MEMBERS = {
  arguments: isListOf(isText(/^(?:commitment|text:[^\x00-\x1f]*)$/u, 2000), 16), function: isText(null, 200),
};
const isCall = (value) => isRecord(CALL_MEMBERS)(value) && isCallOf(value);
const isRead = (value) => isRecord({ ...CALL_MEMBERS, answers: isOne("commitment", "true") })(value) && isCallOf(value);
const isEvent = (value) =>
  isRecord({ commitment: isNumber(0, 15), indexed: isListOf(isNumber(0, 15), 3), signature: isText(null, 200) })(value) && isEventOf(value);
const isShape = (value) => isRecord({ calls: isListOf(isCall, 4) }, { event: isEvent, read: isRead })(value) && (!value.event || value.calls.length > 0);
const isAddress = isText(/^[0-9a-f]{40}$/);
const shapeOf = (contract) => (typeof contract.shape === "string" ? SHAPES[contract.shape] : contract.shape);
const isContract = (value) =>
  isRecord({ address: isEither(isNull, isAddress), shape: isEither(isOne(...SHAPE_NAMES), isShape) })(value) && (value.address !== null || shapeOf(value).calls.length === 0);

// An argument as its type has it.
function abiValue(given, type, commitment) {
  if (given !== "commitment") return utf8(given.slice("text:".length));
  return type === "string" ? utf8(hex(commitment)) : commitment;
}

function callData({ arguments: given, function: signature }, commitment) {
  const types = parameterTypes(signature);
  const heads = [];
  const tails = [];
  let offset = 32 * types.length;
  for (const [at, type] of types.entries()) {
    const value = abiValue(given[at], type, commitment);
    if (!isDynamic(type)) {
      heads.push(value);
      continue;
    }
    const tail = concat(bytesOf(BigInt(value.length), 32), value, new Uint8Array((32 - (value.length % 32)) % 32));
    heads.push(bytesOf(BigInt(offset), 32));
    tails.push(tail);
    offset += tail.length;
  }
  return concat(keccak256(utf8(signature)).subarray(0, 4), ...heads, ...tails);
}

// The value at a position of a log's data; null where it is cut short.
function abiAt(data, position, type) {
  const word = (at) => (at + 32 <= data.length ? data.subarray(at, at + 32) : null);
  const head = word(32 * position);
  if (head === null || !isDynamic(type)) return head;
  const start = toNumber(head);
  const length = start < BigInt(data.length) ? word(Number(start)) : null;
  if (length === null || start + 32n + toNumber(length) > BigInt(data.length)) return null;
  const begin = Number(start) + 32;
  return data.subarray(begin, begin + Number(toNumber(length)));
}

// Whether a log of this event holds the commitment.
function eventHolds({ commitment: place, indexed, signature }, { topics, data }, commitment) {
  const type = parameterTypes(signature)[place];
  const value = abiValue("commitment", type, commitment);
  if (topics.length !== 1 + indexed.length) return false;
  if (indexed.includes(place)) return equal(topics[1 + indexed.indexOf(place)], isDynamic(type) ? keccak256(value) : value);
  const found = abiAt(data, place - indexed.filter((one) => one < place).length, type);
  return found !== null && equal(found, value);
}

// That a transaction and its receipt put the commitment where the profile expects it.
function findCommitment(contract, transaction, receipt, commitment) {
  if (receipt.status !== 1) refuseAnchor("failed_transaction", "the transaction failed: nothing was anchored by it", "交易失败：未锚定任何内容");
  const address = contract.address === null ? transaction.sender : fromHex(contract.address);
  const { calls, event } = shapeOf(contract);
  if (!event) {
    if (!equal(transaction.to, address)) {
      const to = hex(transaction.to) || "none";
      refuseAnchor("other_contract", `the transaction goes to ${to}`, `交易发往 ${to}`);
    }
    const expected = calls.length ? callData(calls.at(-1), commitment) : commitment;
    if (!equal(transaction.data, expected)) refuseAnchor("other_commitment", "the transaction's data is not that of the commitment", "交易数据并非该承诺的数据");
    return;
  }
  const topic = keccak256(utf8(event.signature));
  const ofEvent = receipt.logs.filter((one) => one.topics.length > 0 && equal(one.topics[0], topic));
  const both = ofEvent.filter((one) => equal(one.address, address));
  if (both.some((one) => eventHolds(event, one, commitment))) return;
  const named = hex(address);
  if (both.length) refuseAnchor("other_commitment", `the event of ${named} holds another commitment`, `${named} 的事件载有另一承诺`);
  if (ofEvent.length || !receipt.logs.some((one) => equal(one.address, address))) {
    refuseAnchor("other_contract", `no log of the transaction is of ${named}`, `交易的日志均不属于 ${named}`);
  }
  refuseAnchor("other_event", `${named} emitted no ${shown(event.signature, 200)}`, `${named} 未发出 ${shown(event.signature, 200)}`);
}
