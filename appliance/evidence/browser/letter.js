// The evidence of a letter: its container, every seal and record, and the chain of events, followed as boxes follow it.

const EVENT_MEMBERS = [
  "_sd", "_sd_alg", "actor", "approvals", "at", "data", "event", "fields", "format", "kind", "letter", "number", "opened", "parts",
  "previous", "receipts", "references", "sealed", "state", "value",
];
const OPENING_MEMBERS = ["box_proof", "commitment", "content", "index", "salt"];
// Digits after the point, by currency (ISO 4217).
const DIGITS = new Map();
for (const [digits, currencies] of [
  [0, "CLP ISK JPY KRW PYG UGX VND XAF XOF"],
  [3, "BHD IQD JOD KWD LYD OMR TND"],
  [2, "AED AUD BRL CAD CHF CNY CZK DKK EGP EUR GBP HKD HUF IDR ILS INR KES KZT LAK MMK MNT MOP"],
  [2, "MXN MYR NGN NOK NZD PHP PKR PLN QAR RUB SAR SEK SGD THB TRY TWD USD ZAR"],
]) {
  for (const currency of currencies.split(" ")) DIGITS.set(currency, digits);
}
const MOVES = ["open", "raise", "lower", "close", "split"];
const ID = /^[0-9a-f]{32}$/;
const AT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

const damaged = (en, zh) => new Broken(en, zh);

function parseAmount(said, currency) {
  const found = /^(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,4}))?$/.exec(said);
  const units = found ? BigInt(found[1]) * 10000n + BigInt((found[2] ?? "").padEnd(4, "0")) : null;
  if (units === null || (found[2] ?? "").length !== DIGITS.get(currency) || units >= 10n ** 18n) throw damaged("an amount that is none", "金额无效");
  return units;
}

function printAmount(units, currency) {
  const digits = DIGITS.get(currency);
  const tail = digits ? `.${(units % 10000n).toString().padStart(4, "0").slice(0, digits)}` : "";
  return `${units / 10000n}${tail} ${currency}`;
}

function readEvent(bytes) {
  const event = readCanonical(bytes);
  const right =
    event !== null && typeof event === "object" && !Array.isArray(event) &&
    Object.keys(event).join() === EVENT_MEMBERS.join() && ["cinnabar-event/1", "cinnabar-event/2"].includes(event.format) && ID.test(event.letter) &&
    Number.isSafeInteger(event.number) && event.number >= 1 && AT.test(event.at) && Array.isArray(event.parts) &&
    (event.previous === null || /^[0-9a-f]{64}$/.test(event.previous)) && typeof event.state === "string" &&
    typeof event.event === "string" && typeof event.kind?.id === "string" && typeof event.actor?.application === "string" &&
    typeof event.actor?.tenant === "string" && [event.fields, event.opened, event.sealed].every((one) => one !== null && typeof one === "object" && !Array.isArray(one)) &&
    [event.receipts, event.approvals, event._sd].every(Array.isArray) &&
    event.approvals.every((one) => Boolean(one?.policy) === (event.format === "cinnabar-event/2") && (one.policy || !("limits" in one)));
  if (!right) throw damaged("an event that is of no format this page knows", "事件不是本页所知的格式");
  return event;
}

function follow(before, event, digestHex) {
  if (!before) {
    if (event.previous !== null || event.number !== 1) throw damaged("a letter begins with its first event", "函件须从其第一个事件开始");
  } else if (event.letter !== before.letter || event.previous !== before.head || event.number !== before.number + 1) {
    throw damaged("an event does not follow the one before", "事件不能衔接前一事件");
  } else if (event.kind.id !== before.kind || event.at < before.changed) {
    throw damaged("an event is of another kind, or earlier than the one before", "事件属于另一种类，或早于前一事件");
  }
  let balance = before?.balance ?? 0n;
  let currency = before?.currency ?? "";
  const change = event.value;
  if (event.parts.length && change?.move !== "split") throw damaged("only a split makes letters", "只有拆分才产生新函件");
  if (change) {
    if (!MOVES.includes(change.move) || (currency && currency !== change.currency)) throw damaged("a letter keeps its currency", "函件币种不变");
    currency = change.currency;
    const amount = parseAmount(change.amount, currency);
    const parts = event.parts.reduce((sum, part) => sum + parseAmount(part.amount, currency), 0n);
    balance += change.move === "open" || change.move === "raise" ? amount : -amount;
    if (balance < 0n || (change.move === "close" && balance !== 0n) || (change.move === "split" && parts !== amount)) {
      throw damaged("an event's value does not add up", "事件的金额不符");
    }
  }
  const made = new Set([event.letter, ...event.parts.map((part) => part.letter)]);
  if (made.size !== event.parts.length + 1) throw damaged("each letter that a split makes is a new one", "拆分产生的每份函件都须是新函件");
  return {
    letter: event.letter, kind: event.kind.id, version: event.kind.version, state: event.state, number: event.number,
    head: digestHex, changed: event.at, balance, currency, fields: { ...(before?.fields ?? {}), ...event.fields },
    origin: before?.origin ?? null,
  };
}

function beginPart(parent, event, letter) {
  const part = event.parts.find((one) => one.letter === letter);
  if (!part) throw damaged("an event is of a letter that the one before neither belongs to nor makes", "事件所属函件与前一事件无关，也非其所产生");
  const currency = event.value.currency;
  return {
    ...parent, letter, state: part.state, number: 1, balance: parseAmount(part.amount, currency), currency,
    fields: { ...parent.fields, ...part.fields }, origin: event.letter,
  };
}

async function readLayout(findings, data) {
  const entries = readContainer(data);
  const places = new Map();
  for (const name of entries.keys()) {
    const place = readName(name);
    if (!place) throw damaged(`the entry ${name} is none that an evidence file has`, `条目 ${name} 不是证据文件应有的条目`);
    places.set(name, place);
  }
  const about = entries.has("META-INF/letter.json") ? readCanonical(entries.get("META-INF/letter.json")) : null;
  if (about?.format !== "cinnabar-letter-evidence/1" || !ID.test(about.letter) || Object.keys(about).length !== 2) {
    throw damaged("it does not say which letter it is about", "文件未说明所涉函件");
  }
  const named = new Set();
  const tails = [...places.values()].filter((one) => one.role === "manifest").map((one) => one.tail);
  const references = new Map();
  for (const tail of tails) {
    const names = namesOf(tail);
    if (!entries.has(names.seal)) throw damaged(`${names.manifest} has no seal of its own`, `${names.manifest} 没有自己的签章`);
    const found = readManifest(entries.get(names.manifest), tail);
    const evidence = entries.get(names.evidenceManifest);
    if (entries.has(names.evidenceRecord) !== Boolean(evidence)) throw damaged(`${names.evidenceRecord} and its manifest are not both there`, `${names.evidenceRecord} 与其清单未同时存在`);
    if (evidence && fromUtf8(evidence) !== evidenceManifest(tail, await sha256(entries.get(names.seal)))) {
      throw damaged(`${names.evidenceManifest} names something else than the seal as it is here`, `${names.evidenceManifest} 所列的不是文件中的签章`);
    }
    references.set(tail, found);
    for (const [name, expected] of found) {
      const place = places.get(name);
      if (!place) throw damaged(`${names.manifest} names ${name}, which is not there`, `${names.manifest} 列出的 ${name} 不在文件中`);
      const own = place.tail === tail ? ["event", "beside", "court"].includes(place.role) : tail === "court" && (place.role === "event" || HELPERS.has(place.role));
      if (!own) throw damaged(`${names.manifest} names ${name}, which is not its own`, `${names.manifest} 列出了不属于它的 ${name}`);
      if ((await sha256Hex(entries.get(name))) !== expected) throw damaged(`${name} was changed after it was sealed`, `${name} 在签章之后被更改`);
      named.add(name);
    }
  }
  for (const [name, { role, tail, name: own }] of places) {
    if (["event", "beside", "court"].includes(role) && !named.has(name)) throw damaged(`${name} stands outside every sealed manifest`, `${name} 不在任何已签章的清单之内`);
    if (["seal", "evidence-record", "evidence-manifest", "opening", "proof", "disclosures"].includes(role) && !tails.includes(tail)) throw damaged(`${name} belongs to no manifest`, `${name} 不属于任何清单`);
    if (HELPERS.has(role) && (await sha256Hex(entries.get(name))) !== own) throw damaged(`${name} is not what its name says`, `${name} 的内容与其名称不符`);
  }
  if ([...places.values()].filter((place) => place.role === "anchor").length > MOST_ANCHORS) {
    throw damaged("there are more anchors than a box puts into a file", "锚定多于设备写入文件的数量");
  }
  findings.passed(
    "container",
    `${entries.size} entries, nothing between or after them; each is named by a sealed manifest or proves itself.`,
    `${entries.size} 个条目，条目之间和之后没有其他内容；每一条目均列于已签章的清单，或可自证。`,
  );
  return { entries, places, about: about.letter, tails, references, renewals: readRenewals(entries, places) };
}

async function readLine(layout) {
  const letters = new Map();
  for (const tail of layout.tails.filter((one) => one !== "court")) {
    const bytes = layout.entries.get(namesOf(tail).event);
    if (!bytes) throw damaged("a manifest covers no event", "清单未涵盖任何事件");
    const owner = tail.includes("-") ? tail.split("-")[0] : "";
    letters.set(owner, [...(letters.get(owner) ?? []), { tail, event: readEvent(bytes), digest: await sha256Hex(bytes) }]);
  }
  for (const group of letters.values()) group.sort((left, right) => left.event.number - right.event.number);
  const steps = [...(letters.get("") ?? [])];
  letters.delete("");
  while (steps.length && letters.size) {
    const next = steps[steps.length - 1].event.parts.find((part) => letters.has(part.letter));
    if (!next) break;
    steps.push(...letters.get(next.letter));
    letters.delete(next.letter);
  }
  if (!steps.length || letters.size) throw damaged("events that nothing leads to", "存在无从衔接的事件");
  checkKinds(layout, steps);
  let state = null;
  const seen = new Set();
  for (const step of steps) {
    if (state && step.event.letter !== state.letter) state = beginPart(state, steps[steps.indexOf(step) - 1].event, step.event.letter);
    state = follow(state, step.event, step.digest);
    step.after = state;
    const owner = step.event.letter === steps[0].event.letter ? "" : `${step.event.letter}-`;
    if (step.tail !== `${owner}${String(step.event.number).padStart(4, "0")}`) throw damaged("an event has a foreign name", "事件的名称不属于它");
    seen.add(step.event.letter);
  }
  if (layout.about !== state.letter) {
    if (seen.has(layout.about)) throw damaged("the events go on past the letter", "事件越过了该函件");
    state = beginPart(state, steps[steps.length - 1].event, layout.about);
  }
  return { steps, state };
}

// Nothing vouches for a kind's file but an event that names it. What stands in it is not read here.
function checkKinds(layout, steps) {
  const named = new Set(steps.map((step) => step.event.kind.digest));
  const kinds = [...layout.places].filter(([, place]) => place.role === "kind");
  for (const [name, place] of kinds) {
    if (!named.has(place.name)) throw damaged(`${name} is of a kind that no event names`, `${name} 所属种类未被任何事件指明`);
    if (layout.entries.get(name).length > KIND_BYTES) throw damaged(`${name} is larger than a kind's file`, `${name} 大于任何种类文件`);
  }
  if (kinds.length > MOST_KINDS) throw damaged("there are more kinds than a letter has", "种类文件多于一份函件所有");
}

// `shown`: when a record over the file shows that this was there, or null.
async function checkRecord(findings, layout, tail, event, seal, context, kind, shown) {
  const names = namesOf(tail);
  const bytes = layout.entries.get(names.opening);
  if (!bytes) {
    findings.undecided("record", "The record is not in the file, so no log shows it.", "记录不在文件中，因此没有日志可以证明。");
    return null;
  }
  const opening = readCanonical(bytes);
  if (!opening || Object.keys(opening).some((one) => !OPENING_MEMBERS.includes(one))) throw damaged("a record's opening has members that nothing covers", "记录开启件含有不受保护的成员");
  if (typeof opening.content !== "string") throw damaged("a record's opening holds no text", "记录开启件不含文本");
  const proof = layout.entries.get(names.proof);
  const place = proof ? readProof(proof) : null;
  const record = readCanonical(utf8(opening.content));
  const salt = fromHex(opening.salt);
  const entry = (hashing) => commitmentOf(salt, opening.content, hashing);
  const stated = await Promise.all([SHA256_TREE, ...RENEWED_TREES].map(async (one) => hex(await entry(one))));
  const manifest = await sha256Hex(layout.entries.get(names.manifest));
  const fits = salt.length === 32 && stated.includes(opening.commitment) && record.format === "cinnabar-record/1";
  findings.expect(
    fits, "commitment",
    text("Salt and record hash to what the log holds instead of them.", "盐值与记录的摘要即日志所载。"),
    text("Salt and record do not hash to what the log holds: one of them was changed.", "盐值与记录的摘要不是日志所载：其一已被更改。"),
  );
  findings.expect(
    record.signature_digest === (await sha256Hex(seal.signature)), "record",
    text("The record is about exactly this seal.", "记录所述正是此签章。"),
    text("The record is about another seal.", "记录所述是另一签章。"),
  );
  const agrees =
    record.content_hash === "sha256" && record.content_digest === manifest && record.signed_digest === (await sha256Hex(seal.covered)) &&
    record.kind === kind && record.tenant === event.actor.tenant && (kind !== "letter" || record.application === event.actor.application) &&
    (seal.stated === null || Math.abs(record.time / 1000 - seal.stated) < 1000);
  if (!agrees) findings.undecided("record", "Contradiction: the record says other than the event or its seal.", "矛盾：记录与事件或其签章不一致。");
  const witnesses = [];
  if (place) {
    if (opening.index !== undefined && opening.index !== place.index) throw damaged("opening and proof name different entries", "开启件与证明指明了不同的日志项");
    if (place.hashing !== SHA256_TREE) checkStrength(findings, text("The log", "日志"), [{ name: place.hashing.name }], shown, context);
    witnesses.push(await checkProof(findings, place, await entry(place.hashing), context));
  } else findings.undecided("inclusion", "Nothing proves that the record stands in a log.", "没有材料证明记录在日志中。");
  if ((opening.box_proof ?? null) !== null) witnesses.push(await checkBoxProof(findings, opening, entry, context, place));
  return { index: place?.index ?? null, origin: place?.origin ?? null, witnesses: witnesses.filter(Boolean) };
}

// One seal with its time-stamp and its record. Gives { seal, record, times }: those by which it is shown to have existed.
// `anchored`: by when ledgers are proven to have held the record.
async function checkSealed(findings, layout, tail, event, context, kind, archived, anchored = []) {
  const names = namesOf(tail);
  const shown = shownBy(archived, [...layout.places].filter(([, place]) => place.tail === tail).map(([name]) => name));
  const chained = text("The manifest and the chain of events", "清单与事件链");
  checkStrength(findings, chained, [{ name: "sha256" }], shown.trusted?.until ?? null, context);
  const [ofSeal, ofRecord] = [new Findings(), new Findings()];
  let seal = null;
  let record = null;
  let times = [];
  try {
    seal = await checkSeal(ofSeal, layout.entries.get(names.seal), layout.entries.get(names.manifest), context, layout.entries.get(names.evidenceRecord), shown);
    checkStrength(ofRecord, text("The log", "日志"), LOGS_LEAN_ON, shown.trusted?.until ?? null, context);
    try {
      record = await checkRecord(ofRecord, layout, tail, event, seal, context, kind, shown.trusted?.until ?? null);
    } catch (error) {
      ofRecord.add(...outcomeOf(error));
    }
    // Only what passes by itself dates the rest.
    const logged = ofRecord.indication === "TOTAL-PASSED" ? [...record.witnesses, ...anchored] : [];
    times = [seal.stamp, shown.trusted, shown.outside, ...logged].filter(Boolean);
    await checkSealer(ofSeal, seal, times.map((one) => one.until), context);
  } catch (error) {
    ofSeal.add(...outcomeOf(error));
  }
  findings.checks.push(...ofSeal.checks, ...ofRecord.checks);
  return { seal, record, times };
}

const outcomeOf = (error) => [error instanceof Unable ? "undecided" : "failed", "format", text(`${saidBy(error).en}.`, `${saidBy(error).zh}。`)];

// The whole judgement. `trust`: what readTrust gave, or null. `now`: milliseconds since the epoch.
async function verifyEvidence(data, trust, now) {
  const parts = [];
  const findings = new Findings();
  parts.push({ title: text("evidence of a letter", "函件证据"), findings });
  let layout;
  let line;
  try {
    layout = await readLayout(findings, data);
    line = await readLine(layout);
  } catch (error) {
    findings.failed("container", `${saidBy(error).en}.`, `${saidBy(error).zh}。`);
    return { indication: "TOTAL-FAILED", parts, letter: null };
  }
  findings.passed("events", `${line.steps.length} event(s), each naming the one before; value conserved.`, `${line.steps.length} 个事件，各指明前一事件；金额守恒。`);
  findings.note(
    "extent", "The file tells of the letter up to the newest event in it. Whether later ones exist, only the box can say.",
    "本文件只反映函件至其中最新事件为止的情况。此后是否另有事件，只有设备能够说明。",
  );
  if ([...layout.places.values()].some((place) => place.role === "page")) {
    findings.note(
      "page for people", "The file holds a page for people, META-INF/for-people.html. Nothing vouches for it; this report replaces it.",
      "文件中有一个供人阅读的网页 META-INF/for-people.html。其内容没有任何保证；应以本报告为准。",
    );
  }
  if (!trust) {
    findings.undecided("trust", "No trust bundle was loaded: nothing here tells who sealed it.", "未加载信任包：无从得知由谁签章。");
  } else if (now < trust.issued || now > trust.expires) {
    findings.undecided("trust", "The trust bundle is not in force now.", "信任包目前不在有效期内。");
  }
  const helpers = (role) => [...layout.places].filter(([, place]) => place.role === role).map(([name]) => layout.entries.get(name));
  const context = { trust, now, certificates: [], lists: [...(trust?.lists ?? [])], answers: [] };
  for (const one of helpers("certificate")) readQuietly(() => context.certificates.push(readCertificate(one)));
  const namedIn = new Map();
  const helpersRead = (role, read, into) => {
    for (const [name] of [...layout.places].filter(([, place]) => place.role === role)) {
      readQuietly(() => {
        const made = read(layout.entries.get(name));
        namedIn.set(made, name);
        into.push(made);
      });
    }
  };
  helpersRead("crl", readList, context.lists);
  helpersRead("ocsp", readAnswer, context.answers);
  for (const tail of layout.tails) {
    readQuietly(() => {
      for (const one of readSignedData(layout.entries.get(namesOf(tail).seal)).lists) readQuietly(() => context.lists.push(readList(one)));
    });
  }
  const archived = await judgeRenewals(parts, layout, context);
  for (const [made, name] of namedIn) made.shown = archived.get(name)?.trusted?.until;
  const anchored = await judgeAnchors(layout, context, archived);
  parts.push(...anchored.parts);
  const events = [];
  const places = new Map();
  const envelopes = { files: new Map(), sealed: new Map() };
  for (const step of line.steps) {
    const found = new Findings();
    const event = step.event;
    const { seal, record, times } = await checkSealed(found, layout, step.tail, event, context, "letter", archived, anchored.times.get(step.tail));
    const at = Date.parse(event.at);
    const outside = times.filter((one) => trust?.accepted.includes(one.timeClass)).sort((left, right) => left.until - right.until)[0];
    const earliest = Math.min(...times.filter((one) => one === seal.stamp || one === outside).map((one) => one.until));
    if (!(at <= earliest + 1000)) {
      found.undecided("time", `Contradiction: the event says ${shown(event.at)}, but existed no later than ${spoken(earliest)}.`, `矛盾：事件声明 ${shown(event.at)}，但最迟存在于 ${spoken(earliest)}。`);
    }
    if (record?.origin) {
      if (record.index <= (places.get(record.origin) ?? -1)) found.undecided("log order", "Contradiction: its record stands before that of an earlier event.", "矛盾：其记录位于较早事件的记录之前。");
      else if ([...places.keys()].some((origin) => endedBefore(origin, trust).includes(record.origin))) found.undecided("log order", `Contradiction: the log “${record.origin}” had ended when an earlier event was recorded.`, `矛盾：较早事件记录时，日志“${record.origin}”已经结束。`);
      places.set(record.origin, record.index);
    }
    await checkBeside(found, layout, step, envelopes);
    if (layout.entries.has(`event-${step.tail}/letter.pdf`)) {
      found.note("page", "The page was not compared with the event: cinnabar verify does.", "此处未将页面与事件比对：cinnabar verify 会作比对。");
    }
    const disclosed = await checkDisclosures(found, layout, step);
    if (event.letter === layout.about) line.state.disclosed = { ...line.state.disclosed, ...disclosed };
    await judgeApprovals(found, layout, step, context, times.length ? Math.min(...times.map((one) => one.until)) : null);
    parts.push({ title: text(`event ${event.number}: ${shown(event.event, 80)}`, `事件 ${event.number}：${shown(event.event, 80)}`), findings: found });
    events.push({ event, after: step.after, signer: seal?.signer ?? null, claimedSigner: seal?.claimedSigner ?? null, outside: outside ?? null, record, indication: found.indication });
  }
  if (layout.tails.includes("court")) {
    const found = new Findings();
    await checkSealed(found, layout, "court", line.steps[line.steps.length - 1].event, context, "court", archived);
    const newest = namesOf(line.steps[line.steps.length - 1].tail).event;
    const covered = [...layout.references.get("court").keys()].filter((name) => layout.places.get(name).role === "event");
    if (covered.join() !== newest) found.failed("content", "The court package was sealed for another event.", "司法证据包所签章的是另一事件。");
    parts.push({ title: text("court package", "司法证据包"), findings: found });
  }
  const indications = parts.map((one) => one.findings.indication);
  const indication = ["TOTAL-FAILED", "INDETERMINATE"].find((one) => indications.includes(one)) ?? "TOTAL-PASSED";
  return { indication, parts, letter: { state: line.state, events, about: layout.about, ledgers: anchored.ledgers } };
}

async function checkBeside(findings, layout, step, envelopes) {
  const there = new Set(layout.references.get(step.tail).values());
  for (const [name, digestHex] of layout.references.get(step.tail)) envelopes.files.set(digestHex, layout.entries.get(name));
  for (const [name, salt] of Object.entries(step.event.opened)) {
    const encoded = envelopes.files.get(envelopes.sealed.get(name));
    if (!encoded) {
      findings.undecided("opening", `The envelope of the opened field ${shown(name, 80)} is not in the file.`, `已开启字段 ${shown(name, 80)} 的信封不在文件中。`);
      continue;
    }
    let held = false;
    try {
      const value = utf8(canonical(step.event.fields[name]));
      const made = await sha256Hex(concat(utf8("cinnabar veil commitment v1\n"), fromHex(salt), value));
      held = made === readCanonical(encoded).commitment && salt.length === 64;
    } catch {
      // An envelope that is none commits to nothing.
    }
    findings.expect(
      held, "opening",
      text(`The opened field ${shown(name, 80)} is what its sender had committed to.`, `已开启字段 ${shown(name, 80)} 与其发送方所承诺的一致。`),
      text(`The opened field ${shown(name, 80)} is not what its sender had committed to.`, `已开启字段 ${shown(name, 80)} 与其发送方所承诺的不一致。`),
    );
  }
  for (const [name, digestHex] of Object.entries(step.event.sealed)) envelopes.sealed.set(name, digestHex);
  for (const one of step.event.receipts) {
    if (!there.has(one.digest)) findings.undecided("receipt", `The receipt ${shown(one.number, 80)} is not in the file.`, `回执 ${shown(one.number, 80)} 不在文件中。`);
  }
}

// Values of hidden fields that the file discloses (RFC 9901), each held to a digest in its event.
async function checkDisclosures(findings, layout, step) {
  const encoded = layout.entries.get(`META-INF/disclosures-${step.tail}.json`);
  const found = {};
  if (!encoded) return found;
  try {
    for (const [name, disclosure] of Object.entries(readCanonical(encoded))) {
      const made = toBase64(await sha256(utf8(disclosure))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
      const raw = fromBase64(disclosure.replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(disclosure.length / 4) * 4, "="));
      const [, said, value] = JSON.parse(fromUtf8(raw));
      if (said !== name || !step.event._sd.includes(made)) throw damaged("a disclosure is of another event", "披露属于另一事件");
      canonical(value);
      found[name] = value;
    }
  } catch {
    findings.failed("disclosures", "A disclosed value is not the event's.", "某项披露的值不属于该事件。");
    return {};
  }
  findings.passed("disclosures", "The disclosed values are those whose digests the event holds.", "所披露的值与事件所载摘要一致。");
  return found;
}

function readQuietly(read) {
  try {
    read();
  } catch {
    // What cannot be read is of no use to anyone.
  }
}
