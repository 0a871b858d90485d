// How a log goes on under another hash (appliance.log.successor): the first entry of the new log commits to all entries of
// the old one, so that each of those is led to the new log without the old hash.

const MOST_STEPS = 8;
const MOST_SUCCESSOR_BYTES = MOST_NOTE_BYTES + 1000;
const isStep = isRecord({ hashes: isListOf(isTreeHex, 63), index: isNumber(), origin: isText(), successor: isText() });
const isSteps = isListOf(isStep, MOST_STEPS, 1);
const isSuccessor = isRecord({ checkpoint: isText(), format: isOne("cinnabar-log-successor/1"), tree: isTreeHex });

// The old log's last head, and the root over its entries under the new hash.
function readSuccessor(said) {
  const bytes = utf8(said);
  const value = bytes.length > MOST_SUCCESSOR_BYTES ? null : readCanonical(bytes);
  if (!isSuccessor(value)) throw new Broken("not the successor of a log", "不是日志的承接声明");
  return { head: readHead(value.checkpoint), tree: fromHex(value.tree) };
}

// The size at which the bundle says a log to have ended: no key of it signs a larger one. Null: it goes on.
function endedAt(origin, trust) {
  const sizes = trust.logs.filter((one) => one.origin === origin).map((one) => one.last);
  return sizes.length && !sizes.includes(null) ? Math.max(...sizes) : null;
}

// Leads an entry of an ended log to the first entry of the last step's log: { origin, entry }, or null where it does not lead
// there; entered either way. `entryUnder`: gives the entry under the hash of its log; `place`: what its own log proof says, or null;
// `known`: successors that were read already, since each of a letter's older records goes by the same ones.
async function followSteps(findings, steps, entryUnder, { trust }, place, known) {
  const first = trust?.succeeds.get(steps[0].origin);
  if (first === undefined) {
    findings.undecided("log", "The trust bundle does not name this log as one that succeeds another.", "信任包未将此日志列为另一日志的承接者。");
    return null;
  }
  let [origin, entry, ended] = [first, await entryUnder(treeHash(first)), null];
  for (const [number, step] of steps.entries()) {
    if (trust.succeeds.get(step.origin) !== origin) {
      findings.failed("log", "A step leads to a log that is not known to succeed the one before it.", "某一步所指的日志不是已知的承接日志。");
      return null;
    }
    const hashing = treeHash(step.origin);
    if (!known.has(step.successor)) {
      const read = readSuccessor(step.successor);
      known.set(step.successor, { ...read, signed: await signedByLog(read.head, trust) });
    }
    const { head, tree, signed } = known.get(step.successor);
    if (head.origin !== origin || signed !== true) {
      findings.failed("log", "No key of the ended log has signed the head that its successor states.", "承接声明所载的树头未由已终止日志的密钥签署。");
      return null;
    }
    const root = await rootOf(entry, step.index, head.size, step.hashes.map(fromHex), hashing);
    const whole = head.size === endedAt(origin, trust) && (number === 0 || step.index === 0);
    if (!whole || root === null || !equal(root, tree)) {
      findings.failed("box log", "The steps do not lead from this record to the log that goes on.", "承接步骤不能从此记录通向继续的日志。");
      return null;
    }
    ended ??= head;
    [origin, entry] = [step.origin, await hashing.digest(utf8(step.successor))];
  }
  if (!isOneHistory(findings, { origin: first, index: steps[0].index, size: ended.size, root: ended.root }, place)) return null;
  const [before, after] = [first, origin].map((one) => shown(one, 200));
  findings.passed(
    "log",
    `Entry ${steps[0].index} of the log “${before}”, which ended at ${ended.size} entries: the log “${after}” succeeds it and commits to every entry of it under ${treeHash(origin).name}.`,
    `日志“${before}”的第 ${steps[0].index} 条；该日志止于 ${ended.size} 条：日志“${after}”接续它，并以 ${treeHash(origin).name} 承诺其全部条目。`,
  );
  return { origin, entry };
}

// The logs that had ended before this one began, as the trust bundle says.
function endedBefore(origin, trust) {
  const before = trust?.succeeds.get(origin);
  return before === undefined ? [] : [before, ...endedBefore(before, trust)];
}
