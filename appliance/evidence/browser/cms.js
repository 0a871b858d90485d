// Seals (CAdES baseline B-T, ETSI EN 319 122-1) and the time-stamps in them (RFC 3161).

const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNING_TIME = "1.2.840.113549.1.9.5";
const SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
const SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14";
const TST_INFO = "1.2.840.113549.1.9.16.1.4";
const TIME_STAMPING = "1.3.6.1.5.5.7.3.8";
const SEAL = text("Seal", "签章");
const STAMP = text("Time-stamp", "时间戳");

const isNamed = (signer, one) =>
  signer.named ? one.issuer === signer.named.issuer && one.serial === signer.named.serial : one.keyIdentifier === signer.keyIdentifier;

// Whether the algorithms that were signed are those that the file states (RFC 6211).
function protects(signer) {
  const protection = signer.attributes.get("1.2.840.113549.1.9.52");
  if (!protection) return true;
  const [hash, made] = fields(protection, 2);
  const inner = members(sole(signer.algorithm.raw));
  return oid(members(hash)[0]) === signer.hashId && made?.tag === 0xa1 && equal(made.content, concat(...inner.map((one) => one.raw)));
}

// The checks that seals and stamps share; gives the signer's certificate, or null where they end.
async function checkSigner(findings, who, signedData, signer, message, others) {
  const pool = [...signedData.certificates, ...others];
  const named = pool.filter((one) => isNamed(signer, one));
  const ess = members(members(members(signer.attributes.get(SIGNING_CERTIFICATE_V2))[0])[0]);
  const hash = ess[0]?.tag === 0x30 ? hashOf(ess.shift()) : "SHA-256";
  if (ess.length > 2) throw malformed();
  let certificate = null;
  for (const one of named) {
    if (hex(await digest(hash, one.bytes)) === hex(content(ess[0], 0x04))) certificate ??= one;
  }
  if (certificate && ess[1]) {
    const [general, serial] = fields(ess[1], 2);
    const issuer = hex(content(fields(general, 1)[0], 0xa4));
    if (issuer !== certificate.issuer || hex(content(serial, 0x02)) !== certificate.serial) certificate = null;
  }
  if (!certificate) {
    findings.undecided("signing certificate", `${who.en}: the certificate that the signature binds is not in the file.`, `${who.zh}：签名所绑定的证书不在文件中。`);
    return null;
  }
  const type = signer.attributes.get(CONTENT_TYPE);
  const stated = signer.attributes.get(MESSAGE_DIGEST);
  if (!type || !stated || oid(type) !== signedData.type) throw malformed();
  if (!protects(signer)) {
    findings.undecided("signed attributes", `${who.en}: the algorithms that were signed are not those that it states.`, `${who.zh}：所签的算法不是其声明的算法。`);
    return null;
  }
  const right = equal(await digest(signer.hash, message), content(stated, 0x04));
  findings.expect(
    right, "content",
    text(`${who.en}: it is over exactly these bytes.`, `${who.zh}：它所涵盖的正是这些字节。`),
    text(`${who.en}: it is over something else.`, `${who.zh}：它所涵盖的是其他内容。`),
  );
  const holds = await checkSignature(certificate.spki, signer.algorithm, signer.hash, signer.signature, signer.covered);
  findings.expect(
    holds, "signature",
    text(`${who.en}: made with the private key of “${certificate.name}”.`, `${who.zh}：由“${certificate.name}”的私钥作出。`),
    text(`${who.en}: it was not made with the private key of “${certificate.name}”.`, `${who.zh}：不是由“${certificate.name}”的私钥作出。`),
  );
  return right && holds ? certificate : null;
}

// What a signer's signature relies on: key, digests of what was signed and of the attributes, and the digest that binds the
// certificate.
function signerUses(signer, certificate) {
  const uses = [...usesOf(certificate.spki, signer.algorithm, signer.hash), { name: NAMES[signer.hash] }];
  const named = signer.attributes.get(SIGNING_CERTIFICATE_V2);
  if (named) {
    const ess = members(members(members(named)[0])[0]);
    uses.push({ name: NAMES[ess[0]?.tag === 0x30 ? hashOf(ess[0]) : "SHA-256"] });
  }
  return uses.filter((one, place) => uses.findIndex((other) => other.name === one.name) === place);
}

// What a time-stamp states (TSTInfo, RFC 3161, section 2.4.2).
function readInfo(encoded) {
  const [version, policy, imprint, serial, generated, ...rest] = members(sole(encoded));
  const next = (...tags) => (rest.length && tags.includes(rest[0].tag) ? rest.shift() : null);
  if (smallInteger(version, 1) !== 1 || generated?.tag !== 0x18) throw malformed();
  const [accuracy, ordering, nonce, authority, extensions] = [next(0x30), next(0x01), next(0x02), next(0xa0), next(0xa1)];
  if (rest.length) throw malformed();
  if (ordering && ![0, 0xff].includes(ordering.content.length === 1 ? ordering.content[0] : -1)) throw malformed();
  if (nonce) integer(nonce);
  const [algorithm, hashed] = fields(imprint, 2);
  const wides = accuracy ? members(accuracy) : [];
  let wide = 0;
  for (const [tag, most, milliseconds] of [[0x02, 3, 1000], [0x80, 2, 1], [0x81, 2, 0.001]]) {
    if (wides[0]?.tag !== tag) continue;
    const value = smallInteger(wides.shift(), most, tag);
    if (value < 0 || (tag !== 0x02 && (value < 1 || value > 999))) throw malformed();
    wide += value * milliseconds;
  }
  if (wides.length) throw malformed();
  return {
    policy: oid(policy), hash: hashOf(algorithm), imprint: content(hashed, 0x04), serial: integer(serial), at: time(generated), accuracy: wide,
    stated: accuracy !== null, ordering, nonce, authority: authority && sole(authority.content),
    critical: (extensions ? members(extensions, 0xa1) : []).map((one) => members(one)).some(([type, flag]) => flag.tag === 0x01 && oid(type) !== "1.3.6.1.5.5.7.1.3"),
  };
}

// Whether a time lies within the period in which the certificate's key may be used (RFC 3280, section 4.2.1.4).
function isKeysTime(certificate, at) {
  const period = certificate.extensions.get("2.5.29.16");
  const bounds = period ? members(sole(period.value)) : [];
  return bounds.every((one) => (one.tag === 0x80 ? at >= time({ ...one, tag: 0x18 }) : at <= time({ ...one, tag: 0x18 })));
}

// A time-stamp over what has the digest that `digestOf` gives. Gives { until, timeClass, party, by } or null; it counts where
// all of its checks passed. `known`: when others show that it existed, and when anybody does; what it is `over`, in words.
async function checkStamp(findings, who, encoded, digestOf, context, known = {}) {
  const { proven = null, shown = null, over = text("this very signature", "此签名") } = known;
  const relied = proven === null || (shown !== null && shown < proven) ? shown : proven;
  const signedData = readSignedData(encoded);
  if (signedData.type !== TST_INFO || !signedData.content || signedData.signers.length !== 1) throw malformed();
  const info = readInfo(signedData.content);
  findings.expect(
    equal(await digestOf(info.hash), info.imprint), "imprint",
    text(`${who.en}: it is over ${over.en}.`, `${who.zh}：它所涵盖的正是${over.zh}。`),
    text(`${who.en}: it is over something else than ${over.en}.`, `${who.zh}：它所涵盖的不是${over.zh}。`),
  );
  const certificate = await checkSigner(findings, who, signedData, signedData.signers[0], signedData.content, context.certificates);
  if (!certificate) return null;
  checkStrength(findings, text("The time-stamp's signature", "时间戳的签名"), signerUses(signedData.signers[0], certificate), relied, context);
  const { serial, authority } = info;
  const odd =
    serial[0] & 0x80 || serial.every((byte) => byte === 0) || serial.length > 21 || (serial.length === 21 && serial[0]) || info.critical ||
    info.at - info.accuracy > context.now || (authority && !(authority.tag === 0xa4 && hex(authority.content) === certificate.subject));
  if (odd) findings.undecided("statement", `${who.en}: what it states is not as RFC 3161 has it.`, `${who.zh}：其声明不符合 RFC 3161。`);
  if (relied !== null && info.at - info.accuracy > relied) {
    findings.undecided(
      "stated time", `Contradiction: ${who.en} states ${spoken(info.at)}, but existed no later than ${spoken(relied)}.`,
      `矛盾：${who.zh}声明 ${spoken(info.at)}，但最迟存在于 ${spoken(relied)}。`,
    );
  }
  const purpose = certificate.extensions.get("2.5.29.37");
  const able =
    purpose?.critical && certificate.purposes.length === 1 && certificate.purposes[0] === TIME_STAMPING && !certificate.ca &&
    (certificate.usage === null || certificate.usage & 0xc0) && isKeysTime(certificate, info.at);
  if (!able) findings.undecided("purpose", `${who.en}: “${certificate.name}” may not stamp time.`, `${who.zh}：“${certificate.name}”不得签发时间戳。`);
  const pool = [...signedData.certificates, ...context.certificates];
  const anchor = await checkChain(findings, who, certificate, pool, "tsa", { time: info.at, claimed: true, proven, relied }, context);
  if (!anchor) return null;
  if (!anchor.policies.includes(info.policy)) {
    findings.undecided("policy", `${who.en}: the trust bundle does not accept its policy.`, `${who.zh}：信任包不接受其策略。`);
  }
  const until = Math.ceil(info.at + info.accuracy);
  findings.passed(
    "signature time-stamp",
    `${who.en}: what it is over existed no later than ${spoken(until)}, says “${certificate.name}”.`,
    `${who.zh}：据“${certificate.name}”，其所涵盖的内容最迟存在于 ${spoken(until)}。`,
  );
  return { until, timeClass: anchor.timeClass, party: anchor.party, by: certificate.name };
}

const before = (left, right) => {
  const at = left.findIndex((byte, place) => byte !== right[place]);
  return at < 0 ? 0 : left[at] - right[at];
};

function digestId(algorithm) {
  const [id, nothing] = fields(algorithm, 1, 2);
  if (nothing && content(nothing, 0x05).length) throw malformed();
  return oid(id);
}

// Which digest a token's imprint is made with: an evidence record lists it, and may list others.
function imprintId(token) {
  const { version, content: info } = readSignedData(token);
  if (version !== 3 || !info) throw malformed();
  return digestId(members(members(sole(info))[2])[0]);
}

// An evidence record (RFC 4998) in the form that boxes write, of a seal that was stamped with others: one token over the
// root of a hash tree. Gives { token, hash, root }, or null where it is of something else than the seal.
async function climbEvidenceRecord(encoded, seal) {
  const [version, algorithms, ...more] = members(sole(encoded));
  if (more[0]?.tag === 0xa0) more.shift();
  const [chains, ...others] = more;
  if (smallInteger(version) !== 1 || others.length) throw malformed();
  const listed = members(algorithms).map(digestId);
  const stamps = members(chains).flatMap((chain) => members(chain));
  if (stamps.length !== 1) throw unable();
  const parts = members(stamps[0]);
  const next = (tag) => (parts[0]?.tag === tag ? parts.shift() : null);
  const [stated, , tree, token] = [0xa0, 0xa1, 0xa2, 0x30].map(next);
  if (!token || parts.length) throw malformed();
  const id = imprintId(token.raw);
  const hash = HASHES[id];
  if (!hash) throw unable();
  if (!listed.includes(id) || (stated && digestId({ ...stated, tag: 0x30 }) !== id)) throw malformed();
  const lists = tree ? members(tree, 0xa2).map((list) => members(list).map((one) => content(one, 0x04))) : [];
  if (tree && !lists.length) throw malformed();
  let root = await digest(hash, seal);
  if (lists.length && !lists[0].some((one) => equal(one, root))) return null;
  for (const [place, list] of lists.entries()) {
    const group = (place ? [root, ...list] : [...list]).sort(before);
    if (!list.length || group.some((one) => one.length !== root.length)) throw malformed();
    root = group.length === 1 ? group[0] : await digest(hash, concat(...group));
  }
  return { token: token.raw, hash, root };
}

// What stamps a seal: the token inside it, or that of the evidence record over it.
async function findToken(findings, signer, seal, evidenceRecord) {
  const inside = signer.unsigned.get(SIGNATURE_TIME_STAMP);
  if (evidenceRecord) {
    const found = await climbEvidenceRecord(evidenceRecord, seal).catch((error) => {
      throw error instanceof Indefinite ? malformed() : error;
    });
    findings.expect(
      found !== null, "evidence record",
      text("The evidence record leads from this very seal to its time-stamp.", "证据记录从此签章通向其时间戳。"),
      text("The evidence record is of something else than this seal.", "证据记录所涉的不是此签章。"),
    );
    if (!inside) return found && { token: found.token, apart: true, digestOf: async (hash) => (hash === found.hash ? found.root : new Uint8Array()) };
  }
  if (inside === SEVERAL) {
    findings.undecided("signature time-stamp", "The seal has several time-stamps, which no seal of a box has.", "签章带有多个时间戳，设备的签章从不如此。");
    return null;
  }
  if (inside) return { token: inside.raw, digestOf: (hash) => digest(hash, signer.signature) };
  findings.undecided("signature time-stamp", "The seal has no time-stamp, neither inside it nor by an evidence record.", "签章没有时间戳：其内部没有，也没有证据记录。");
  return null;
}

// A seal over a manifest and its time-stamp; who made it is judged by `checkSealer`, once it is known what else dates it.
// `archived`: by when records over the file show it, with its manifest: { trusted, outside }.
async function checkSeal(findings, encoded, manifest, context, evidenceRecord, archived) {
  const signedData = readSignedData(encoded);
  if (signedData.content !== null || signedData.signers.length !== 1) throw malformed();
  const signer = signedData.signers[0];
  const found = { signedData, signature: signer.signature, covered: signer.covered, stated: null, stamp: null, signer: null, claimedSigner: null };
  const named = signer.attributes.get(SIGNING_TIME);
  if (named) found.stated = time(named);
  found.certificate = await checkSigner(findings, SEAL, signedData, signer, manifest, context.certificates);
  if (!found.certificate) findings.failed("content", "The seal does not show that it is over this manifest.", "签章未能证明它所涵盖的是此清单。");
  const stamping = await findToken(findings, signer, encoded, evidenceRecord);
  if (!stamping) return found;
  const stamped = new Findings();
  try {
    const shown = archived.trusted?.until ?? null;
    const imprint = HASHES[imprintId(stamping.token)];
    if (imprint) checkStrength(stamped, text("The time-stamp's digest", "时间戳的摘要"), [{ name: NAMES[imprint] }], shown, context);
    const stamp = await checkStamp(stamped, STAMP, stamping.token, stamping.digestOf, context, { shown, proven: archived.outside?.until ?? null });
    if (stamped.indication === "TOTAL-PASSED") found.stamp = stamp;
  } catch (error) {
    const outcome = error instanceof Unable ? "undecided" : "failed";
    stamped.add(outcome, "signature time-stamp", text(`Time-stamp: ${saidBy(error).en}.`, `时间戳：${saidBy(error).zh}。`));
  }
  // Whoever holds a seal can hang a broken stamp on it, so that refutes nothing; but nothing passes with it. An evidence
  // record was put into the file by whoever made the file.
  for (const one of stamped.checks) findings.add(one.outcome === "failed" && !stamping.apart ? "undecided" : one.outcome, one.name, one.said);
  return found;
}

// Who made it, judged at the earliest time at which the seal is shown to have existed.
async function checkSealer(findings, found, shownUntil, context) {
  const { certificate, signedData } = found;
  if (!certificate) return;
  if (certificate.ca || (certificate.usage !== null && !(certificate.usage & 0xc0)) || certificate.purposes?.join() === TIME_STAMPING) {
    findings.undecided("purpose", `“${certificate.name}” may not seal documents.`, `“${certificate.name}”不得签署文件。`);
  }
  const at = Math.min(context.now, ...shownUntil);
  const pool = [...signedData.certificates, ...context.certificates];
  const moment = { time: at, claimed: false, proven: shownUntil.length ? at : null, relied: at };
  checkStrength(findings, text("The seal's signature", "签章的签名"), signerUses(signedData.signers[0], certificate), at, context);
  const anchor = await checkChain(findings, SEAL, certificate, pool, "seal", moment, context);
  found.signer = anchor ? certificate.name : null;
  found.claimedSigner = certificate.name;
  if (found.stated !== null && found.stated > at + 1000) {
    findings.undecided(
      "stated time",
      `Contradiction: the seal states ${spoken(found.stated)}, but existed no later than ${spoken(at)}.`,
      `矛盾：签章声明 ${spoken(found.stated)}，但最迟存在于 ${spoken(at)}。`,
    );
  }
}
