// Receipts of ledgers, judged as appliance.anchors.judging does: by the profile that the trust bundle has, for one commitment.
// A judgement is { strength, by, time, latest, place, notes, reliesOn }, in milliseconds: the ledger's own time of the anchor, and
// the latest at which it may have been made by what the ledger itself states; `reliesOn`: algorithms as endOf takes them.

const MOST_CHECKPOINT = 65536;
const LARGEST_RECEIPT = 4 * 1024 * 1024;
const LEDGER_NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const LEDGER_TYPE = /^[a-z0-9]{1,32}$/;
// Seconds by which a block's time may lie before the true one: a year at most.
const MOST_TOLERANCE = 31622400;

class AnchorRefused extends Broken {
  constructor(reason, en, zh) {
    super(en, zh);
    this.reason = reason;
  }
}

const refuseAnchor = (reason, en, zh) => {
  throw new AnchorRefused(reason, en, zh);
};

const isReceipt = isRecord({
  checkpoint: isText(null, MOST_CHECKPOINT), format: isOne("cinnabar-anchor-receipt/1"), ledger: isText(LEDGER_NAME), proof: isObject, type: isText(LEDGER_TYPE),
});

// A receipt; its proof is as it is written. Nothing in it is believed yet.
function readReceipt(said) {
  const refuse = () => refuseAnchor("malformed", "no anchor receipt", "不是锚定回执");
  if (utf8(said).length > LARGEST_RECEIPT) refuse();
  const { value, inner } = readAround(said, "proof");
  if (!isReceipt(value)) refuse();
  return { ...value, proof: inner };
}

// A proof in canonical JSON and in its form.
function readLedgerProof(said, is) {
  let read;
  try {
    read = readCanonical(utf8(said));
  } catch {
    read = null;
  }
  if (!is(read)) refuseAnchor("malformed", "the proof is not of its form", "证明不符合其格式");
  return read;
}

// Pauses of a long judgement, so that the page goes on answering whoever looks at it.
let rested = performance.now();
async function rest() {
  if (performance.now() - rested < 40) return;
  await new Promise((go) => setTimeout(go));
  rested = performance.now();
}

// What a receipt shows of a commitment under a profile. `known`: { now, lists, answers }, what is known of revocations beside the
// receipt. Throws AnchorRefused, or Unable where this browser lacks what it takes.
async function judgeReceipt(receipt, commitment, profile, known) {
  if (receipt.type !== profile.type) {
    refuseAnchor("other_type", `the receipt is of type ${receipt.type}, the ledger ${profile.type}`, `回执的类型为 ${receipt.type}，账本为 ${profile.type}`);
  }
  if (receipt.ledger !== profile.name) {
    refuseAnchor("other_ledger", `the receipt is of ${receipt.ledger}, not of ${profile.name}`, `回执属于 ${receipt.ledger}，而非 ${profile.name}`);
  }
  let stated;
  try {
    stated = await sha256(utf8(readNote(receipt.checkpoint).text));
  } catch {
    refuseAnchor("malformed", "the receipt's checkpoint is malformed", "回执的日志头格式错误");
  }
  if (!equal(stated, commitment)) refuseAnchor("other_checkpoint", "the receipt is about another checkpoint", "回执涉及另一日志头");
  const found = await judgeLedgerProof(profile.type, receipt.proof, commitment, profile.rules, known);
  const allowed = profile.tolerance_s * 1000;
  if (2 * found.time - found.latest - allowed > known.now) {
    refuseAnchor("time_to_come", `the time of ${found.place.en} lies after the time of validation`, `${found.place.zh}的时间晚于验证时间`);
  }
  return { ...found, latest: found.latest + allowed };
}

// Of a block, whose one time is what the ledger states.
const atOnce = (time) => ({ time, latest: time });

// By a type's own judge. `rules`: of the profile, not yet looked at.
async function judgeLedgerProof(type, proof, commitment, rules, known) {
  const judges = { bitcoin: [isBitcoinRules, judgeBitcoin], evm: [isEvmRules, judgeEvm], fabric: [isFabricRules, judgeFabric], rfc3161: [isStampRules, judgeStampAnchor] };
  if (!Object.hasOwn(judges, type)) refuseAnchor("unknown_type", `there is no judge of ledgers of type ${type}`, `没有 ${type} 类账本的判定方法`);
  const [is, judge] = judges[type];
  await rest();
  if (!is(rules)) refuseAnchor("rules_unreadable", "the rules in the profile are not those of its type", "配置中的规则不符合其类型");
  return judge(proof, commitment, rules, known);
}
