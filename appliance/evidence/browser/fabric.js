// Receipts of Hyperledger Fabric, judged as appliance.anchors.fabric.judge does: a block with the transaction that holds the
// commitment, who endorsed it, and the orderers that sealed it. Names and numbers of messages are the published ones.

const LONGEST_NAME = isText(null, 256, 1);
const isCertificateText = isBase64(1, 16384);
const isOrderers = isRecord({
  consenters: isListOf(isRecord({ certificate: isCertificateText, id: isNumber(0, 0xffffffff), msp: LONGEST_NAME }), 256), count: isNumber(1, 1000),
  msps: isListOf(LONGEST_NAME, 256, 1),
});
const isMsp = isRecord({
  intermediates: isListOf(isCertificateText, 32), name: LONGEST_NAME, node_ous: isOne(true, false), revoked: isListOf(isHex32, 10000), roots: isListOf(isCertificateText, 32, 1),
});
const isFabricRules = isRecord({
  argument: isNumber(0, 63), chaincode: LONGEST_NAME, channel: LONGEST_NAME, endorsement: isRecord({ count: isNumber(1, 1000), msps: isListOf(LONGEST_NAME, 256, 1) }),
  function: LONGEST_NAME, msps: isListOf(isMsp, 256, 1), orderers: isEither(isNull, isOrderers), time_window_s: isEither(isNull, isNumber(0, 31622400)),
});
const isFabricProof = isRecord({ block: isBase64(), place: isNumber() });

const ENDORSER_TRANSACTION = 3n;
const [SIGNATURES_PLACE, CODES_PLACE] = [0, 2];
const MOST_BLOCK_SIGNATURES = 256;
const MOST_ENDORSEMENTS = 256;
const LAST_SECOND = 253402300799n;

const BLOCK_HEADER = { number: [1, "whole"], previous_hash: [2, "octets"], data_hash: [3, "octets"] };
const BLOCK = { header: [1, BLOCK_HEADER], data: [2, { data: [1, ["octets"]] }], metadata: [3, { metadata: [1, ["octets"]] }] };
const METADATA_SIGNATURE = { signature_header: [1, "octets"], signature: [2, "octets"], identifier_header: [3, "octets"] };
const METADATA = { value: [1, "octets"], signatures: [2, [METADATA_SIGNATURE]] };
const IDENTIFIER_HEADER = { identifier: [1, "whole"], nonce: [2, "octets"] };
const SIGNATURE_HEADER = { creator: [1, "octets"], nonce: [2, "octets"] };
const ENVELOPE = { payload: [1, "octets"], signature: [2, "octets"] };
const PAYLOAD = { header: [1, { channel_header: [1, "octets"], signature_header: [2, "octets"] }], data: [2, "octets"] };
const CHANNEL_HEADER = {
  type: [1, "whole"], version: [2, "whole"], timestamp: [3, { seconds: [1, "whole"], nanos: [2, "whole"] }], channel_id: [4, "text"], tx_id: [5, "text"],
  epoch: [6, "whole"], extension: [7, "octets"], tls_cert_hash: [8, "octets"],
};
const TRANSACTION = { actions: [1, [{ header: [1, "octets"], payload: [2, "octets"] }]] };
const ENDORSED_ACTION = { proposal_response_payload: [1, "octets"], endorsements: [2, [{ endorser: [1, "octets"], signature: [2, "octets"] }]] };
const ACTION_PAYLOAD = { chaincode_proposal_payload: [1, "octets"], action: [2, ENDORSED_ACTION] };
const CHAINCODE_ID = { path: [1, "text"], name: [2, "text"], version: [3, "text"] };
const CHAINCODE_SPEC = { type: [1, "whole"], chaincode_id: [2, CHAINCODE_ID], input: [3, { args: [1, ["octets"]], is_init: [3, "whole"] }] };
const PROPOSAL_PAYLOAD = { input: [1, "octets"] };
const INVOCATION = { chaincode_spec: [1, CHAINCODE_SPEC] };
const RESPONSE_PAYLOAD = { proposal_hash: [1, "octets"], extension: [2, "octets"] };
const CHAINCODE_ACTION = {
  results: [1, "octets"], events: [2, "octets"], response: [3, { status: [1, "whole"], message: [2, "text"], payload: [3, "octets"] }], chaincode_id: [4, CHAINCODE_ID],
};

async function judgeFabric(said, commitment, rules) {
  let members;
  try {
    members = readMembers(rules);
  } catch {
    refuseAnchor("rules_unreadable", "the profile's organisations cannot be read", "无法读取配置中的组织");
  }
  const proof = readLedgerProof(said, isFabricProof);
  try {
    return await judgeFabricBlock(readMessage(fromBase64(proof.block), BLOCK), proof.place, commitment, rules, members);
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    return refuseAnchor("malformed", error.text.en, error.text.zh);
  }
}

async function judgeFabricBlock(block, place, commitment, rules, members) {
  const transactions = block.data?.data ?? [];
  if (block.header === null || !equal(block.header.data_hash, await sha256(concat(...transactions)))) {
    refuseAnchor("data_hash", "the block's transactions are not those of its header", "区块的交易与其区块头不符");
  }
  if (place >= transactions.length) refuseAnchor("no_transaction", `the block has ${transactions.length} transactions`, `区块有 ${transactions.length} 个交易`);
  const transaction = readFabricTransaction(transactions[place]);
  await checkCall(transaction, commitment, rules);
  const signers = await fabricSigners(transaction, rules, members);
  const sealed = await fabricSeals(block, rules, members, transaction.moment);
  const code = block.metadata?.metadata[CODES_PLACE]?.[place];
  if (code !== 0) refuseAnchor("failed_transaction", `peers count the transaction as invalid (code ${code ?? "None"})`, `节点认定该交易无效（代码 ${code ?? "无"}）`);
  const hashed = await sha256Hex(headerDer(block.header));
  const where = `${block.header.number} (0x${hashed})`;
  const id = shown(transaction.channel.tx_id, 80);
  // Nobody looked at the time where there is no window: what is known is that members sign while their certificates are valid.
  const ends = Math.min(...[...signers, ...sealed].map((one) => one.until));
  return {
    strength: sealed.length ? "proven" : "attested", by: sealed.length ? "validator_seals" : "node", time: transaction.moment,
    latest: rules.time_window_s === null ? ends : transaction.moment + rules.time_window_s * 1000,
    place: text(`block ${where}, transaction ${id}`, `区块 ${where}，交易 ${id}`), notes: fabricNotes(rules, signers, sealed),
    reliesOn: [{ name: "sha256" }, ...[...signers, ...sealed].map(({ curve }) => ({ name: "ecdsa", bits: BITS[curve] }))],
  };
}

// A call of a chaincode, taken apart. Nothing of it is believed yet.
function readFabricTransaction(data) {
  const envelope = readMessage(data, ENVELOPE);
  const payload = readMessage(envelope.payload, PAYLOAD);
  const header = payload.header ?? { channel_header: new Uint8Array(), signature_header: new Uint8Array() };
  const channel = readMessage(header.channel_header, CHANNEL_HEADER);
  if (channel.type !== ENDORSER_TRANSACTION) refuseAnchor("no_transaction", `a transaction of type ${channel.type}`, `类型为 ${channel.type} 的交易`);
  const { seconds, nanos } = channel.timestamp ?? { seconds: 0n, nanos: 0n };
  if (seconds > LAST_SECOND || nanos > 999999999n) throw new MalformedMessage();
  const signer = readMessage(header.signature_header, SIGNATURE_HEADER);
  const { actions } = readMessage(payload.data, TRANSACTION);
  if (actions.length !== 1 || !equal(actions[0].header, header.signature_header)) throw new MalformedMessage();
  const action = readMessage(actions[0].payload, ACTION_PAYLOAD);
  const proposed = action.chaincode_proposal_payload;
  const spec = readMessage(readMessage(proposed, PROPOSAL_PAYLOAD).input, INVOCATION).chaincode_spec;
  const endorsed = action.action ?? { proposal_response_payload: new Uint8Array(), endorsements: [] };
  if (endorsed.endorsements.length > MOST_ENDORSEMENTS) throw new MalformedMessage();
  const response = readMessage(endorsed.proposal_response_payload, RESPONSE_PAYLOAD);
  return {
    envelope, header, channel, ...signer, proposed, chaincode: spec?.chaincode_id?.name ?? "", arguments: spec?.input?.args ?? [],
    answer: endorsed.proposal_response_payload, endorsements: endorsed.endorsements, proposalHash: response.proposal_hash,
    action: readMessage(response.extension, CHAINCODE_ACTION), moment: Number(seconds) * 1000 + Number(nanos / 1000n) / 1000,
  };
}

// That it is the call that anchors, made by whom it says, and answered as it says.
async function checkCall(transaction, commitment, rules) {
  const { channel, header } = transaction;
  if (channel.channel_id !== rules.channel) refuseAnchor("other_channel", "the transaction is of another channel", "交易属于另一通道");
  if (transaction.chaincode !== rules.chaincode) refuseAnchor("other_chaincode", "the transaction calls another chaincode", "交易调用另一链码");
  const [called, ...given] = transaction.arguments;
  if (!equal(called ?? new Uint8Array(), utf8(rules.function))) refuseAnchor("other_function", "the transaction calls another function", "交易调用另一函数");
  if (given.length <= rules.argument || !equal(given[rules.argument], utf8(hex(commitment)))) {
    refuseAnchor("other_commitment", "the transaction holds another commitment", "交易载有另一承诺");
  }
  if (channel.tx_id !== (await sha256Hex(concat(transaction.nonce, transaction.creator)))) {
    refuseAnchor("wrong_transaction_id", "the id is not that of the nonce and the creator", "交易号与随机数及创建者不符");
  }
  const proposal = await sha256(concat(header.channel_header, header.signature_header, transaction.proposed));
  if (!equal(transaction.proposalHash, proposal)) refuseAnchor("mixed_up", "what was endorsed is another proposal", "所背书的是另一提案");
  const { chaincode_id: answering, response } = transaction.action;
  if (answering?.name !== rules.chaincode) refuseAnchor("other_chaincode", "another chaincode answered than was called", "应答的链码并非所调用的链码");
  const status = response?.status ?? 0n;
  if (status < 200n || status >= 400n) refuseAnchor("refused_by_chaincode", `the chaincode answered with status ${status}`, `链码应答的状态为 ${status}`);
}

// One endorser of each organisation that counts, once it is shown who made the transaction.
async function fabricSigners(transaction, rules, members) {
  const { endorsement } = rules;
  let creator;
  try {
    creator = await memberBySerialized(members, transaction.creator, transaction.moment);
  } catch (error) {
    if (!(error instanceof NotAMember)) throw error;
    refuseAnchor("foreign_creator", error.text.en, error.text.zh);
  }
  if (!(await memberSigned(creator, transaction.envelope.payload, transaction.envelope.signature))) {
    refuseAnchor("creator_signature", "the transaction's signature does not hold", "交易的签名不成立");
  }
  const found = new Map();
  for (const one of transaction.endorsements) {
    const member = await orNobody(() => memberBySerialized(members, one.endorser, transaction.moment, "peer"));
    const counts = member && endorsement.msps.includes(member.msp) && (await memberSigned(member, concat(transaction.answer, one.endorser), one.signature));
    if (counts && !found.has(member.msp)) found.set(member.msp, member);
    await rest();
  }
  if (found.size < endorsement.count) {
    refuseAnchor("too_few_endorsements", `${found.size} of the organisations endorsed it, ${endorsement.count} are wanted`, `${found.size} 个组织作了背书，须有 ${endorsement.count} 个`);
  }
  return [...found.values()];
}

// What it gives; null of an identity that is no member.
async function orNobody(member) {
  try {
    return await member();
  } catch (error) {
    if (error instanceof NotAMember) return null;
    throw error;
  }
}

// What orderers sign of a header: the DER of number, previous hash and data hash.
function headerDer({ number, previous_hash: previous, data_hash: data }) {
  const octets = (tag, content) => concat(lengthOf(tag, content.length), content);
  const digits = rlpInteger(number);
  const signed = digits.length === 0 || digits[0] & 0x80 ? concat(Uint8Array.of(0), digits) : digits;
  const content = concat(octets(0x02, signed), octets(0x04, previous), octets(0x04, data));
  return octets(0x30, content);
}

// The orderers of the profile that sealed the block, each once; none where the profile asks for none.
async function fabricSeals(block, rules, members, moment) {
  const { orderers } = rules;
  if (orderers === null) return [];
  const metadata = readMessage(block.metadata?.metadata[SIGNATURES_PLACE] ?? new Uint8Array(), METADATA);
  if (metadata.signatures.length > MOST_BLOCK_SIGNATURES) throw new MalformedMessage();
  const found = new Map();
  let others = 0;
  for (const one of metadata.signatures) {
    // Either says who signed; the other is empty (common.MetadataSignature).
    const named = one.signature_header.length ? one.signature_header : one.identifier_header;
    const member = await orNobody(() => sealingMember(one, orderers, members, moment));
    const signed = concat(metadata.value, named, headerDer(block.header));
    if (member && orderers.msps.includes(member.msp) && (await memberSigned(member, signed, one.signature))) found.set(hex(member.certificate.bytes), member);
    else others += 1;
    await rest();
  }
  if (found.size < orderers.count) {
    refuseAnchor(others ? "foreign_seal" : "too_few_seals", `${found.size} of the orderers signed the block, ${orderers.count} are wanted`, `${found.size} 个排序节点签署了区块，须有 ${orderers.count} 个`);
  }
  return [...found.values()];
}

function sealingMember(one, orderers, members, moment) {
  const nobody = () => notAMember("no orderer of the profile", "不是配置所列的排序节点");
  if (one.signature_header.length) {
    if (members.consenters.length) throw nobody();
    return memberBySerialized(members, readMessage(one.signature_header, SIGNATURE_HEADER).creator, moment, "orderer");
  }
  const { identifier } = readMessage(one.identifier_header, IDENTIFIER_HEADER);
  const consenter = members.consenters.find(({ id }) => BigInt(id) === identifier);
  if (!consenter) throw nobody();
  return memberOf(members, consenter.msp, consenter.certificate, moment, "orderer");
}

function fabricNotes(rules, signers, sealed) {
  const by = signers.map((one) => shown(one.msp, 80)).sort().join(", ");
  const notes = [
    text("Anchoring on Hyperledger Fabric has not yet run on a real network.", "在 Hyperledger Fabric 上的锚定尚未在真实网络上运行过。"),
    text(`Endorsed by peers of ${by}. That it was valid when it was committed is a peer's word.`, `由 ${by} 的节点背书。其提交时有效，仅为某一节点的说法。`),
  ];
  if (sealed.length && !rules.orderers.consenters.length) {
    notes.push(text("One orderer may sign in the name of all: that there is no other block of that number is its word.", "一个排序节点可代表全体签署：该编号没有其他区块，仅为其说法。"));
  }
  if (rules.time_window_s === null) {
    notes.push(
      text(
        "The time is the word of whoever anchored: no organisation looked at it. What the signatures show is only that it was made before the first of the signers' certificates ended.",
        "时间仅为锚定方的说法：没有组织核对过。签名只能证明它作于签名者证书中最早到期者到期之前。",
      ),
    );
  }
  return notes;
}
