// Anchors: from each event's record to a head of the box's log, and that head in a ledger (docs/letter-evidence.md). What does
// not lead there, or is in another form, refutes the file. A receipt that a ledger's judge refuses leaves it undecided:
// nobody's seal covers the receipt, and it shows nothing. A ledger that the bundle does not name is told, and counts for nothing.

const MOST_ANCHORS = 32;
const LARGEST_ANCHOR = LARGEST_RECEIPT + 32 * 1024 * 1024;
const BY_WORDS = {
  time_stamp: text("time stamp", "时间戳"), proof_of_work: text("proof of work", "工作量证明"), validator_seals: text("validator seals", "验证者封签"),
  trusted_header: text("trusted header", "受信任的区块头"), node: text("node", "节点的声明"),
};
// Refusals that show that the receipt was altered, or is of something else.
const ALTERED = ["malformed", "other_checkpoint", "other_commitment"];

// `continued`: of a record in a log that ended before, how it goes on to the log whose first entry `index` and `hashes` are of.
const hasPlace = isRecord({ hashes: isListOf(isTreeHex, 64), index: isNumber() }, { continued: isSteps });
const isAnchoredRecord = (value) => hasPlace(value) && !(value.continued && value.index);
const isAnchor = isRecord({
  format: isOne("cinnabar-letter-anchor/1"), opening: isText(null, 65536), receipt: isObject, tlog_proof: isText(null, 131072),
  records: (value) => isObject(value) && Object.values(value).every(isAnchoredRecord),
});

function readAnchor(bytes) {
  const malformedAnchor = () => new Broken("no anchor of a letter", "不是函件的锚定");
  if (bytes.length > LARGEST_ANCHOR) throw malformedAnchor();
  const { value, inner } = readAround(fromUtf8(bytes), "receipt");
  if (!isAnchor(value)) throw malformedAnchor();
  return { ...value, receipt: readReceipt(inner) };
}

// Each anchor in the file by itself: parts of the report, facts of ledgers, and by each event's tail the times by which ledgers
// are proven to have held its record. `archived`: what records over the file show of its entries.
async function judgeAnchors(layout, context, archived) {
  const judged = { parts: [], ledgers: [], times: new Map() };
  const names = [...layout.places].filter(([, place]) => place.role === "anchor").map(([name, place]) => [name, place.name]);
  for (const [name, ledgerAndSize] of names.sort()) {
    const findings = new Findings();
    const ledger = shown(ledgerAndSize.replace(/-[0-9]+$/, ""), 80);
    judged.parts.push({ title: text(`anchor on ${ledger}`, `账本 ${ledger} 上的锚定`), findings });
    try {
      const before = shownBy(archived, [name]).trusted?.until ?? null;
      await judgeAnchor(findings, layout, layout.entries.get(name), ledgerAndSize, { ...context, before }, judged);
    } catch (error) {
      findings.add(error instanceof Unable ? "undecided" : "failed", "anchor", text(`${saidBy(error).en}.`, `${saidBy(error).zh}。`));
    }
    await rest();
  }
  return judged;
}

// `context.before`: when a record over the file shows that the anchor was there.
async function judgeAnchor(findings, layout, encoded, ledgerAndSize, context, judged) {
  const anchor = readAnchor(encoded);
  const { receipt } = anchor;
  const proof = readProof(utf8(anchor.tlog_proof));
  const named = findings.expect(
    ledgerAndSize === `${receipt.ledger}-${proof.size}`, "name",
    text("It is about the ledger and the head that its name says.", "它涉及其名称所指的账本与日志头。"),
    text("Its name is of another ledger or head than what is in it.", "其名称所指的账本或日志头与其内容不符。"),
  );
  if (!named || !(await leadsToHead(findings, layout, anchor, context))) return;
  const fact = { ledger: receipt.ledger, strength: "unknown", by: null, place: null, time: null, until: null, reason: null };
  judged.ledgers.push(fact);
  const found = await judgeInLedger(findings, receipt, proof, fact, context);
  checkStrength(findings, text("The log", "日志"), usesOfLog(proof.hashing), context.before, context);
  if (found) checkStrength(findings, text("The ledger's receipt", "账本的回执"), found.reliesOn, context.before, context);
  if (found && findings.indication !== "TOTAL-PASSED") {
    const reason = "ended_algorithm: nothing shows that it was there before what it relies on had ended";
    Object.assign(fact, { strength: "refused", time: null, until: null, reason: text(reason, "ended_algorithm：没有材料证明它在其所依赖的算法失效之前已存在") });
  }
  if (found?.strength !== "proven" || findings.indication !== "TOTAL-PASSED") return;
  for (const tail of Object.keys(anchor.records)) {
    const shows = { until: fact.until, timeClass: "ledger", party: "another", by: `${receipt.ledger}, ${found.place.en}` };
    judged.times.set(tail, [...(judged.times.get(tail) ?? []), shows]);
  }
}

// What the ledger's judge says, entered as findings and into the fact; null where it says nothing, or refuses.
async function judgeInLedger(findings, receipt, proof, fact, context) {
  const ledger = text(`the ledger “${receipt.ledger}”`, `账本“${receipt.ledger}”`);
  const profile = context.trust.ledgers.get(receipt.ledger);
  if (!profile) {
    findings.note("ledger", `Nothing is trusted of ${ledger.en}: its receipt was not looked at.`, `未信任${ledger.zh}：未查验其回执。`);
    return null;
  }
  let found;
  try {
    found = await judgeReceipt(receipt, await sha256(utf8(proof.note.text)), profile, context);
  } catch (error) {
    Object.assign(fact, refusedLedger(findings, ledger, error));
    return null;
  }
  const { strength, by, place, time } = found;
  const until = strength === "proven" ? Math.ceil(found.latest) : null;
  Object.assign(fact, { strength, by, place, time, until });
  const [en, zh] = until === null
    ? [`${place.en}, at ${spoken(time)}; this shows no time`, `${place.zh}，时间 ${spoken(time)}；这不证明任何时间`]
    : [`${place.en}, at ${spoken(time)}; the head existed no later than ${spoken(until)}`, `${place.zh}，时间 ${spoken(time)}；该日志头最迟存在于 ${spoken(until)}`];
  const rule = BY_WORDS[by];
  if (strength === "proven") {
    findings.passed("ledger", `It is proven that ${ledger.en} holds the head (${rule.en}): ${en}.`, `已证明${ledger.zh}载有该日志头（${rule.zh}）：${zh}。`);
  } else {
    findings.note("ledger", `It is attested, not proven, that ${ledger.en} holds the head (${rule.en}): ${en}.`, `${ledger.zh}载有该日志头一事仅有声明，未经证明（${rule.zh}）：${zh}。`);
  }
  for (const one of found.notes) findings.add("note", "ledger", one);
  return found;
}

// What is said of a receipt that shows nothing: refused for a reason, or beyond what this browser can check.
function refusedLedger(findings, ledger, error) {
  if (!(error instanceof AnchorRefused)) {
    findings.undecided("ledger", `The receipt of ${ledger.en} cannot be judged here: ${saidBy(error).en} cinnabar verify may.`, `此处无法判定${ledger.zh}的回执：${saidBy(error).zh} cinnabar verify 或可判定。`);
    return { strength: "undecided" };
  }
  const [en, zh] = [error.text.en, error.text.zh].map((said) => `${error.reason}: ${shown(said)}`);
  const outcome = ALTERED.includes(error.reason) ? "failed" : "undecided";
  findings.add(outcome, "ledger", text(`The receipt of ${ledger.en} is refused, ${en}.`, `${ledger.zh}的回执被拒绝，${zh}。`));
  return { strength: "refused", reason: text(en, zh) };
}

// Whether every event's record leads to the head; what else the anchor names, or lacks, refutes it.
async function leadsToHead(findings, layout, anchor, context) {
  const tails = layout.tails.filter((one) => one !== "court").sort();
  if (Object.keys(anchor.records).sort().join() !== tails.join()) {
    findings.failed("records", "It is about other events than those of this file.", "它涉及的事件不是本文件中的事件。");
    return false;
  }
  const known = new Map();
  for (const tail of tails) {
    const found = new Findings();
    const leads = await leadsFromEvent(found, layout, tail, anchor, context, known);
    // One line an event where it leads there, else each cause.
    const all = (language, between) => found.checks.map(({ said }) => said[language]).join(between);
    const lines = leads ? [{ outcome: "passed", said: text(all("en", " "), all("zh", "")) }] : found.checks.filter((one) => one.outcome !== "passed");
    for (const { outcome, said } of lines) findings.add(outcome, "records", text(`Event ${tail}: ${said.en}`, `事件 ${tail}：${said.zh}`));
    if (!leads) return false;
    await rest();
  }
  return true;
}

// `known`: as followSteps has it.
async function leadsFromEvent(findings, layout, tail, anchor, context, known) {
  const bytes = layout.entries.get(namesOf(tail).opening);
  if (!bytes) {
    findings.undecided("records", "The record is not in the file.", "记录不在文件中。");
    return false;
  }
  const opening = readCanonical(bytes);
  const { continued, hashes, index } = anchor.records[tail];
  let place = null;
  readQuietly(() => (place = readProof(layout.entries.get(namesOf(tail).proof))));
  let entry = (hashing) => commitmentOf(fromHex(opening.salt), opening.content, hashing);
  if (continued) {
    const followed = await followSteps(findings, continued, entry, context, place, known);
    if (followed === null) return false;
    place = { origin: followed.origin, index: 0, size: null };
    entry = () => followed.entry;
  }
  const leaf = { opening: anchor.opening, tlog_proof: anchor.tlog_proof };
  const shows = await leadsToBoxLog(findings, { index, box_proof: { hashes, leaf } }, entry);
  if (shows === null) return false;
  if (!context.trust?.logs.some((one) => one.origin === shows.proof.origin)) {
    findings.undecided("records", "The trust bundle does not name the box's log.", "信任包未列出设备的日志。");
    return false;
  }
  return (await isIncluded(findings, shows.proof, shows.entry, context)) && isOneHistory(findings, shows.found, place);
}
