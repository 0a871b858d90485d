// Anchors: from each event's record to a head of the box's log that a ledger holds (docs/letter-evidence.md). What leads to
// that head is checked here; the ledger's own proof is not: the page knows no chains, and says so.

const MOST_ANCHORS = 32;
const ANCHOR_FORMAT = "cinnabar-letter-anchor/1";
const RECEIPT_FORMAT = "cinnabar-anchor-receipt/1";

function readAnchor(bytes) {
  const malformed = () => new Broken("an anchor is malformed", "锚定格式错误");
  const anchor = readCanonical(bytes);
  const right =
    hasMembers(anchor, ["format", "opening", "receipt", "records", "tlog_proof"]) && anchor.format === ANCHOR_FORMAT &&
    [anchor.opening, anchor.tlog_proof].every((one) => typeof one === "string") && isObject(anchor.records) &&
    hasMembers(anchor.receipt, ["checkpoint", "format", "ledger", "proof", "type"]) && anchor.receipt.format === RECEIPT_FORMAT &&
    [anchor.receipt.checkpoint, anchor.receipt.ledger, anchor.receipt.type].every((one) => typeof one === "string") && isObject(anchor.receipt.proof) &&
    Object.values(anchor.records).every(
      (one) => hasMembers(one, ["hashes", "index"]) && Number.isSafeInteger(one.index) && one.index >= 0 && Array.isArray(one.hashes) && one.hashes.length <= 64,
    );
  if (!right) throw malformed();
  return anchor;
}

// Each anchor in the file, as parts of the report.
async function judgeAnchors(layout, context, archived) {
  const parts = [];
  const names = [...layout.places].filter(([, place]) => place.role === "anchor").map(([name, place]) => [name, place.name]);
  for (const [name, ledgerAndSize] of names.sort()) {
    const findings = new Findings();
    const ledger = shown(ledgerAndSize.replace(/-[0-9]+$/, ""), 80);
    parts.push({ title: text(`anchor on ${ledger}`, `账本 ${ledger} 上的锚定`), findings });
    if (names.length > MOST_ANCHORS) findings.failed("anchor", "There are more anchors than a box puts into a file.", "锚定多于设备写入文件的数量。");
    try {
      await judgeAnchor(findings, layout, readAnchor(layout.entries.get(name)), ledgerAndSize, context);
      const before = shownBy(archived, [name]).trusted?.until ?? null;
      checkStrength(findings, text("The log", "日志"), [{ name: "sha256" }], before, context);
    } catch (error) {
      findings.failed("anchor", `${saidBy(error).en}.`, `${saidBy(error).zh}。`);
    }
  }
  return parts;
}

async function judgeAnchor(findings, layout, anchor, ledgerAndSize, context) {
  const proof = readProof(utf8(anchor.tlog_proof));
  if (proof.anotherHash) {
    tellAnotherHash(findings);
    return;
  }
  findings.expect(
    ledgerAndSize === `${anchor.receipt.ledger}-${proof.size}`, "name",
    text("It is about the ledger and the head that its name says.", "它涉及其名称所指的账本与日志头。"),
    text("Its name is of another ledger or head than what is in it.", "其名称所指的账本或日志头与其内容不符。"),
  );
  const tails = layout.tails.filter((one) => one !== "court");
  if (Object.keys(anchor.records).sort().join() !== [...tails].sort().join()) {
    findings.failed("records", "It is about other events than those of this file.", "它涉及的事件不是本文件中的事件。");
    return;
  }
  if (!context.trust?.logs.some((one) => one.origin === proof.origin)) {
    findings.undecided("records", "The trust bundle does not name the box's log.", "信任包未列出设备的日志。");
    return;
  }
  for (const tail of tails) {
    const bytes = layout.entries.get(namesOf(tail).opening);
    const own = layout.entries.get(namesOf(tail).proof);
    if (!bytes) {
      findings.undecided("records", "A record is not in the file.", "某项记录不在文件中。");
      return;
    }
    const opening = readCanonical(bytes);
    const commitment = await sha256(concat(utf8("cinnabar record v1\n"), fromHex(opening.salt), utf8(opening.content)));
    const { hashes, index } = anchor.records[tail];
    const leaf = { opening: anchor.opening, tlog_proof: anchor.tlog_proof };
    await checkBoxProof(findings, { index, box_proof: { hashes, leaf } }, commitment, context, own ? readProof(own) : null);
  }
  if (readNote(anchor.receipt.checkpoint).text !== proof.note.text) {
    findings.failed("ledger", "The ledger's receipt is about another head.", "账本的回执涉及另一日志头。");
    return;
  }
  const ledger = shown(anchor.receipt.ledger, 80);
  findings.note(
    "ledger", `The receipt of the ledger ${ledger} was not judged here: cinnabar verify does.`,
    `此处未查验账本 ${ledger} 的回执：cinnabar verify 会作查验。`,
  );
}
