// Logs: signed notes and checkpoints (C2SP), inclusion (RFC 6962), cosignatures of witnesses (C2SP tlog-cosignature).

const DASH = "— ";
const MOST_NOTE_BYTES = 1000000;
const MOST_PROOF_BYTES = 1000000;

function readNote(said) {
  const at = said.lastIndexOf("\n\n");
  if (at < 0 || utf8(said).length > MOST_NOTE_BYTES || !said.endsWith("\n") || /[\x00-\x09\x0b-\x1f]/.test(said)) throw new Broken("not a signed note", "不是签名注记");
  const signatures = said
    .slice(at + 2, -1)
    .split("\n")
    .map((line) => {
      const parts = line.startsWith(DASH) ? line.slice(2).split(" ") : [];
      const data = parts.length === 2 ? fromBase64(parts[1]) : new Uint8Array();
      if (data.length < 5 || !parts[0] || /[\s\x85+]/.test(parts[0])) throw new Broken("not a signed note", "不是签名注记");
      return { name: parts[0], id: hex(data.subarray(0, 4)), signature: data.subarray(4) };
    });
  if (signatures.length > 64) throw new Broken("not a signed note", "不是签名注记");
  return { text: said.slice(0, at + 1), signatures };
}

async function readVerifierKey(said) {
  const [name, id, ...rest] = said.split("+");
  const data = fromBase64(rest.join("+"));
  const known = hex((await sha256(concat(utf8(name), Uint8Array.of(10), data))).subarray(0, 4));
  if (known !== id || data.length !== 33) throw new Broken("a key in the trust bundle is malformed", "信任包中的密钥格式错误");
  return { name, id, type: data[0], key: data.subarray(1) };
}

async function checkEd25519(key, signature, message) {
  let imported;
  try {
    imported = await crypto.subtle.importKey("raw", key, "Ed25519", false, ["verify"]);
  } catch {
    throw unable();
  }
  return crypto.subtle.verify("Ed25519", imported, signature, message);
}

// A log's head as it states itself; nothing of it is believed.
function readHead(said) {
  const note = readNote(said);
  const [origin, size, root, ...more] = note.text.split("\n");
  const lines = origin && more.length && more.indexOf("") === more.length - 1;
  const head = lines && /^(0|[1-9][0-9]{0,15})$/.test(size) ? { note, origin, size: Number(size), root: fromBase64(root), hashing: treeHash(origin) } : null;
  if (!head || head.root.length !== head.hashing.size || !Number.isSafeInteger(head.size)) throw new Broken("not the head of a log", "不是日志的树头");
  return head;
}

function readProof(bytes) {
  const refuse = () => {
    throw new Broken("not a log proof", "不是日志证明");
  };
  if (bytes.length > MOST_PROOF_BYTES) refuse();
  const said = fromUtf8(bytes);
  const at = said.indexOf("\n\n");
  const [first, ...lines] = said.slice(0, Math.max(at, 0)).split("\n");
  if (lines[0]?.startsWith("extra ")) fromBase64(lines.shift().slice(6));
  const [index, ...path] = lines;
  const found = /^index (0|[1-9][0-9]{0,15})$/.exec(index ?? "");
  if (at < 0 || first !== "c2sp.org/tlog-proof@v1" || !found || path.length > 63) refuse();
  const hashes = path.map(fromBase64);
  if (hashes.some((one) => one.length < 1 || one.length > 64)) refuse();
  if (!Number.isSafeInteger(Number(found[1]))) refuse();
  return { index: Number(found[1]), path: hashes, ...readHead(said.slice(at + 2)) };
}

// Whether the entry stands in a log that the trust bundle names. Gives the time by which enough witnesses saw it. `box`:
// whether it is the box's own log, which a trust bundle need not name; `further`: what must hold beside.
async function checkProof(findings, proof, entry, context, box = false, further = () => true) {
  const outcome = box ? "note" : "undecided";
  if (context.trust && !context.trust.logs.some((one) => one.origin === proof.origin)) {
    findings.add(outcome, "log", text("The trust bundle does not name this log.", "信任包未列出此日志。"));
    return null;
  }
  const holds = (await isIncluded(findings, proof, entry, context, outcome)) && further();
  return holds ? witnessed(findings, proof, context, box) : null;
}

// Whether the entry stands in the log, under a head that the log's key has signed; entered as findings.
async function isIncluded(findings, proof, entry, context, outcome = "undecided") {
  const root = await rootOf(entry, proof.index, proof.size, proof.path, proof.hashing);
  const leads = root !== null && equal(root, proof.root);
  const where = text(
    `Entry ${proof.index} of the log “${shown(proof.origin, 200)}”, under its head of ${proof.size} entries.`,
    `日志“${shown(proof.origin, 200)}”第 ${proof.index} 项，在其 ${proof.size} 项的头之下。`,
  );
  findings.expect(leads, "inclusion", where, text("The proof does not lead from this record to the log.", "证明不能从此记录通向日志。"));
  if (!context.trust) {
    findings.add(outcome, "log", text("Without a trust bundle nothing tells whose log it is.", "没有信任包，无从判断这是谁的日志。"));
    return false;
  }
  const found = await signedByLog(proof, context.trust);
  if (found === false) findings.failed("log", "The signature of the log's head fails.", "日志头的签名不成立。");
  else if (found === null) findings.failed("log", "No key of the log that may sign at this size has signed its head.", "没有可在此规模签名的日志密钥签署其头。");
  else findings.passed("log", "The log's key has signed that head.", "日志的密钥签署了该头。");
  return found === true && leads;
}

// Whether a key that may sign heads of this size has signed this one; null: none has; false: the signature of one fails.
async function signedByLog(head, trust) {
  const keys = trust.logs.filter((one) => one.origin === head.origin && head.size >= one.first && (one.last === null || head.size <= one.last));
  const message = utf8(head.note.text);
  let signed = null;
  for (const { verifier } of keys) {
    for (const one of head.note.signatures.filter((found) => found.name === verifier.name && found.id === verifier.id)) {
      if (!(await checkEd25519(verifier.key, one.signature, message))) return false;
      signed = true;
    }
  }
  return signed;
}

// What the cosignatures under a head come to, entered as findings: who counts, whether they are enough, which time they
// show. `box`: whether it is the box's own log, on whose policy no record depends.
async function witnessed(findings, proof, context, box) {
  const { trust } = context;
  const times = new Map();
  for (const key of trust.witnesses.filter((one) => one.revoked === null)) {
    const at = await cosignedAt(proof.note.signatures, proof.note.text, key);
    if (at !== null) times.set(key.name, Math.min(at, times.get(key.name) ?? at));
  }
  const rules = trust.cosigning === null ? [] : (trust.cosigning.get(proof.origin) ?? []).filter((one) => one.last === null || proof.size <= one.last);
  await tellUncounted(findings, proof, trust, rules);
  if (trust.cosigning === null) return earliest(findings, [seenBy(times, [...times.keys()], trust.witnessesNeeded)], context);
  const count = (rule) => rule.names.filter((name) => times.has(name)).length;
  const fulfilled = rules.filter((rule) => count(rule) >= rule.quorum);
  const last = rules.at(-1);
  if (last && fulfilled.length === 0) {
    const [had, asked] = [count(last), last.quorum];
    const said = box
      ? text(`${had} of ${asked} witnesses have cosigned this head: it shows no time.`, `要求 ${asked} 个见证方，已联署此树头的有 ${had} 个：不能证明时间。`)
      : text(
          `${had} of the ${asked} witnesses that the trust bundle asks for have cosigned the log's head: ask the box for a proof under a cosigned one.`,
          `信任包要求 ${asked} 个见证方，已联署日志树头的有 ${had} 个：请向设备索取在已联署树头之下的证明。`,
        );
    findings.add(box ? "note" : "undecided", "witnesses", said);
  }
  return earliest(findings, fulfilled.map((rule) => seenBy(times, rule.names, rule.quorum)), context);
}

// The k-th earliest time among these witnesses; null where fewer than k have cosigned, or none need to.
function seenBy(times, names, needed) {
  const found = names.filter((name) => times.has(name)).map((name) => [times.get(name), name]);
  if (needed < 1 || found.length < needed) return null;
  const first = found.sort((left, right) => left[0] - right[0] || (left[1] < right[1] ? -1 : 1)).slice(0, needed);
  return { until: (first.at(-1)[0] + 1) * 1000, timeClass: "witness", by: first.map((one) => shown(one[1], 100)).join(", ") };
}

function earliest(findings, seen, context) {
  const found = seen.filter(Boolean).sort((left, right) => left.until - right.until)[0] ?? null;
  if (found && found.until > context.now + 1000) {
    findings.note("witnesses", "The cosignatures state a time that is still to come, so they show none.", "共签声明的时间尚未到来，因此不证明任何时间。");
    return null;
  }
  if (found) findings.passed("witnesses", `Seen no later than ${spoken(found.until)} by ${found.by}.`, `最迟在 ${spoken(found.until)} 被见到：${found.by}。`);
  return found;
}

// Lines that count for nothing: each is told, eight at most.
async function tellUncounted(findings, proof, trust, rules) {
  const names = new Set(rules.flatMap((rule) => rule.names));
  const told = new Map();
  for (const line of proof.note.signatures) {
    const is = (key) => key.name === line.name && key.id === line.id;
    if (trust.logs.some((one) => one.origin === proof.origin && is(one.verifier))) continue;
    const key = trust.witnesses.find(is);
    const who = shown(line.name, 200);
    if (!key) {
      told.set(`unknown ${who}`, text(`The signature of “${who}” counts for nothing: the trust bundle does not name its key.`, `“${who}”的签名不计：信任包未列出其密钥。`));
    } else if (key.revoked !== null) {
      const since = spoken(key.revoked);
      const english = `The cosignature of “${who}” counts for nothing: the trust bundle declares its key revoked since ${since}.`;
      told.set(`revoked ${who}`, text(english, `“${who}”的联署不计：信任包宣告其密钥自 ${since} 起已吊销。`));
    } else if ((await cosignedAt([line], proof.note.text, key)) === null) {
      told.set(`failing ${who}`, text(`The cosignature of “${who}” counts for nothing: it does not hold.`, `“${who}”的联署不计：该联署不成立。`));
    } else if (trust.cosigning !== null && !names.has(line.name)) {
      told.set(`foreign ${who}`, text(`The cosignature of “${who}” counts for nothing: it is no witness of this log.`, `“${who}”的联署不计：它不是此日志的见证方。`));
    }
  }
  const all = [...told.values()];
  for (const one of all.slice(0, 8)) findings.add("note", "witnesses", one);
  if (all.length > 8) findings.note("witnesses", `So do ${all.length - 8} further signature(s) under the log's head.`, `日志树头下另有 ${all.length - 8} 个签名亦不计。`);
}

// When a witness saw the head, in seconds; null where it has not cosigned, or one of its cosignatures fails.
async function cosignedAt(signatures, said, key) {
  let earliest = null;
  for (const one of signatures.filter((found) => found.name === key.name && found.id === key.id)) {
    if (one.signature.length !== 72) return null;
    const at = new DataView(one.signature.buffer, one.signature.byteOffset).getBigUint64(0);
    const message = utf8(`cosignature/v1\ntime ${at}\n${said}`);
    if (at >> 63n || !(await checkEd25519(key.key, one.signature.subarray(8), message))) return null;
    if (at < 253402300799n && (earliest === null || at < earliest)) earliest = at;
  }
  return earliest === null ? null : Number(earliest);
}

// The record under the box's own log (appliance.log.box_leaf): from the record to a head of the tenant's log, from that to
// the leaf that commits to it, from the leaf to the box's log. `entry`: gives the record's entry under the hash of its log;
// `place`: what the record's own log proof says, or null. Gives the time by which enough witnesses saw that.
async function checkBoxProof(findings, opening, entry, context, place) {
  const shows = await leadsToBoxLog(findings, opening, entry);
  return shows && checkProof(findings, shows.proof, shows.entry, context, true, () => isOneHistory(findings, shows.found, place));
}

// Whether the tenant's log, as the box's own log commits to it, or a log that succeeds it, is that of the record's own log
// proof; entered where not. Both: { origin, index, size, root }, the latter two of the head under which the record is found.
function isOneHistory(findings, found, place) {
  const elsewhere = place && (place.origin !== found.origin || place.index !== found.index);
  if (!elsewhere && !(place?.size === found.size && !equal(place.root, found.root))) return true;
  findings.undecided(
    "box log", "Contradiction: the tenant's log, as the box's own log commits to it, is another than that of the file's other proofs: it has two histories.",
    "矛盾：设备自身的日志所承诺的租户日志不同于文件中其他证明所指的日志：该日志有两个历史。",
  );
  return false;
}

// As far as the leaf: { proof, entry, found }, or null where it does not lead there; `found`: the record under the tenant's head.
// Each of the two logs has a hash of its own.
async function leadsToBoxLog(findings, opening, entryUnder) {
  const { hashes, leaf } = opening.box_proof ?? {};
  const broken = () => new Broken("the box proof is malformed", "设备证明格式错误");
  if (!Array.isArray(hashes) || !isObject(leaf) || !Number.isSafeInteger(opening.index) || opening.index < 0) throw broken();
  if (typeof leaf.opening !== "string" || leaf.opening.length > 65536 || typeof leaf.tlog_proof !== "string") throw broken();
  let opened;
  try {
    opened = JSON.parse(leaf.opening);
  } catch {
    throw broken();
  }
  const proof = readProof(utf8(leaf.tlog_proof));
  const { hashing } = proof;
  const { leaf: made, path, position, salt, statement, width } = opened ?? {};
  const right =
    hasMembers(opened, ["format", "leaf", "path", "position", "salt", "statement", "width"]) && opened.format === "cinnabar-box-opening/1" &&
    hasMembers(made, ["format", "root", "time"]) && made.format === "cinnabar-box-leaf/1" && Number.isSafeInteger(made.time) && made.time >= 0 &&
    Array.isArray(path) && [...path, made.root].every((one) => isHex(one) && one.length === 2 * hashing.size) && hashes.every(isTreeHex) &&
    isHex32(salt) && Number.isSafeInteger(position) && position >= 0 &&
    Number.isSafeInteger(width) && width >= 16 && width <= 2 ** 32 && Number.isInteger(Math.log2(width)) &&
    hasMembers(statement, ["format", "origin", "previous", "root", "size"]) && statement.format === "cinnabar-tenant-head/1" &&
    [statement.origin, statement.previous].every((one) => typeof one === "string") && isTreeHex(statement.root) && Number.isSafeInteger(statement.size);
  // What was committed to are the bytes of the statement, in the one spelling that it has, however the rest of the opening is spelt.
  if (!right || hasFractions(leaf.opening) || memberText(leaf.opening, "statement") !== canonical(statement)) throw broken();
  const committed = await hashing.digest(concat(utf8("cinnabar box leaf v1\n"), fromHex(salt), utf8(canonical(statement))));
  const top = await rootOf(committed, position, width, path.map(fromHex), hashing);
  const own = treeHash(statement.origin);
  const head = await rootOf(await entryUnder(own), opening.index, statement.size, hashes.map(fromHex), own);
  const leads = top !== null && head !== null && equal(top, fromHex(made.root)) && equal(head, fromHex(statement.root));
  findings.expect(
    leads, "box log",
    text(
      `The box commits to the log “${shown(statement.origin, 200)}” of ${statement.size} entries, this record among them, as of ${spoken(made.time / 1000)} by its own word.`,
      `设备承诺日志“${shown(statement.origin, 200)}”共 ${statement.size} 项，此记录在其中；时间 ${spoken(made.time / 1000)} 由设备自称。`,
    ),
    text("The box proof does not lead from this record to the box's own log.", "设备证明不能从此记录通向设备自身的日志。"),
  );
  if (!leads) return null;
  const entry = await hashing.digest(utf8(JSON.stringify({ format: made.format, root: made.root, time: made.time })));
  return { proof, entry, found: { origin: statement.origin, index: opening.index, size: statement.size, root: fromHex(statement.root) } };
}
