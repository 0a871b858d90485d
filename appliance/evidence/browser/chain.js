// Whether a signer's certificate counted at a moment: its validity, its path to the trust bundle, its revocation. A moment
// is { time, claimed, proven }: whether only the signer claims it, as a time-stamp does; and when others show that the
// signature existed, or null; and `relied`, when anybody whom the trust bundle believes does, for algorithms that ended.

const UNDERSTOOD = new Set(["2.5.29.15", "2.5.29.19", "2.5.29.37", "2.5.29.32"]);
// Reasons after which earlier time-stamps stay good (RFC 3161, section 4). A missing one is not among them.
const HARMLESS_REASONS = new Set([0, 3, 4, 5]);
const HOLD = 6;

// Whether a key signed a certificate, list or answer. One that this page cannot check is of no use, and refutes nothing:
// anybody can put another into a file.
async function isSigned(spki, one) {
  try {
    return await checkSignature(spki, one.algorithm, null, one.signature, one.tbs);
  } catch {
    return false;
  }
}

const certified = async (certificate, issuer) => certificate.issuer === issuer.subject && isSigned(issuer.spki, certificate);

async function findPath(leaf, pool, anchors, depth = 0) {
  for (const anchor of anchors) {
    if (await certified(leaf, anchor.certificate)) return { links: [leaf, anchor.certificate], anchor };
  }
  if (depth === 4) return null;
  for (const one of pool) {
    if (!one.ca || (one.usage !== null && !(one.usage & 0x04)) || one.subject === leaf.subject) continue;
    if (!(await certified(leaf, one))) continue;
    const found = await findPath(one, pool, anchors, depth + 1);
    if (found) return { links: [leaf, ...found.links], anchor: found.anchor };
  }
  return null;
}

// What breaks a rule of RFC 5280 on a path, in words; null: nothing.
function brokenRule(links, at) {
  for (const [place, one] of links.entries()) {
    if (at < one.notBefore || at > one.notAfter) return text(`“${one.name}” was not in force at ${spoken(at)}`, `“${one.name}”在 ${spoken(at)} 不在有效期内`);
    if (place - 1 > one.below) return text(`“${one.name}” permits no path of this length`, `“${one.name}”不允许这样长的路径`);
    if ([...one.extensions].some(([id, { critical }]) => critical && !UNDERSTOOD.has(id))) {
      return text(`“${one.name}” has a critical extension that this page does not know`, `“${one.name}”带有本页不识别的关键扩展`);
    }
  }
  return null;
}

// Enter the checks of one certificate at a moment; gives the authority that its path ends at, or null.
async function checkChain(findings, who, leaf, pool, role, moment, context) {
  const anchors = context.trust ? context.trust.authorities.filter((one) => one.role === role) : [];
  const inside = moment.time >= leaf.notBefore && moment.time <= leaf.notAfter;
  if (!inside) {
    // Not yet valid is wrong in any case; expired only where the signer's own word says so.
    const outcome = moment.time < leaf.notBefore || moment.claimed ? "failed" : "undecided";
    findings.add(
      outcome, "certificate validity",
      text(
        `${who.en}: the certificate of “${leaf.name}” was not in force at ${spoken(moment.time)}.`,
        `${who.zh}：“${leaf.name}”的证书在 ${spoken(moment.time)} 不在有效期内。`,
      ),
    );
  }
  if (!context.trust) {
    findings.undecided(
      "certificate path",
      `${who.en}: “${leaf.name}” says the certificate in the file. Without a trust bundle nothing tells whether that is so.`,
      `${who.zh}：文件中的证书自称“${leaf.name}”。没有信任包，无从判断其真伪。`,
    );
    return null;
  }
  const path = await findPath(leaf, pool, anchors);
  if (!path) {
    findings.undecided(
      "certificate path",
      `${who.en}: no path leads from “${leaf.name}” to an authority that the trust bundle names.`,
      `${who.zh}：没有路径从“${leaf.name}”通向信任包所列的机构。`, "NO_CERTIFICATE_CHAIN_FOUND",
    );
    return null;
  }
  const at = inside ? moment.time : Math.min(Math.max(moment.time, leaf.notBefore), leaf.notAfter);
  const broken = brokenRule(path.links, at);
  if (broken) {
    findings.undecided("certificate path", `${who.en}: ${broken.en}.`, `${who.zh}：${broken.zh}。`);
    return null;
  }
  findings.passed(
    "certificate path",
    `${who.en}: “${leaf.name}” was certified by “${path.anchor.certificate.name}”, which the trust bundle names.`,
    `${who.zh}：“${leaf.name}”由信任包所列的“${path.anchor.certificate.name}”认证。`,
  );
  for (let place = 0; place + 1 < path.links.length; place += 1) {
    const what = text(`The certificate of “${path.links[place].name}”`, `“${path.links[place].name}”的证书`);
    checkStrength(findings, what, usesOf(path.links[place + 1].spki, path.links[place].algorithm), moment.relied ?? null, context);
  }
  if (path.anchor.compromised !== null) judgeCompromise(findings, who, path.anchor, moment);
  for (let place = 0; place + 1 < path.links.length; place += 1) {
    await checkRevocation(findings, who, path.links[place], path.links[place + 1], at, moment, place === 0, context);
  }
  return path.anchor;
}

// An authority whose key somebody else may have: only what others show to be older counts (EN 319 102-1, clause 5.6.2.2).
function judgeCompromise(findings, who, anchor, moment) {
  const said = spoken(anchor.compromised);
  const known = moment.claimed ? moment.proven : moment.time;
  if (known !== null && known < anchor.compromised) {
    findings.passed(
      "authority", `${who.en}: the trust bundle declares the authority's key compromised since ${said}; the signature is shown to be older.`,
      `${who.zh}：信任包声明该机构的密钥自 ${said} 起已泄露；该签名已证明早于此时。`,
    );
  } else {
    findings.undecided(
      "authority", `${who.en}: the trust bundle declares the authority's key compromised since ${said}, and nothing shows that the signature existed before.`,
      `${who.zh}：信任包声明该机构的密钥自 ${said} 起已泄露，且没有材料证明该签名早于此时存在。`,
    );
  }
}

async function isList(list, issuer, context) {
  if (list.from > context.now || !list.plain || list.issuer !== issuer.subject || (issuer.usage !== null && !(issuer.usage & 0x02))) return false;
  return isSigned(issuer.spki, list);
}

// Whether an OCSP answer is about this certificate, by its issuer or by whom the issuer certified for nothing else.
async function isAnswer(answer, certificate, issuer, lists, context) {
  const key = bits(members(sole(issuer.spki))[1]);
  const named = [await digest(answer.namedBy, fromHex(issuer.subject)), await digest(answer.namedBy, key)];
  if (answer.from > context.now || answer.serial !== certificate.serial || !equal(named[0], answer.issuerName) || !equal(named[1], answer.issuerKey)) return false;
  for (const one of [issuer, ...answer.responders]) {
    const able =
      one === issuer ||
      (one.purposes?.join() === "1.3.6.1.5.5.7.3.9" && !one.ca && one.extensions.has("1.3.6.1.5.5.7.48.1.5") && answer.from >= one.notBefore &&
        answer.from <= one.notAfter && !lists.some((list) => list.revoked.has(one.serial)) && (await certified(one, issuer)));
    if (able && (await isSigned(one.spki, answer))) return true;
  }
  return false;
}

// What the issuer's lists and answers say of a certificate: { when, reason }, null where it is not revoked, undefined where
// none of them answers for the moment. Everything counts but a hold, which ends when a later one drops it.
async function revocationOf(certificate, issuer, at, context) {
  const genuine = [];
  // Not one that anybody could have signed by the time at which it is shown.
  const counts = (one) => !hasEnded(usesOf(issuer.spki, one.algorithm), one.shown ?? context.now, context);
  for (const list of context.lists) if ((await isList(list, issuer, context)) && counts(list)) genuine.push(list);
  const lists = [...genuine];
  for (const answer of context.answers) if ((await isAnswer(answer, certificate, issuer, lists, context)) && counts(answer)) genuine.push(answer);
  if (!genuine.some((one) => one.from >= at || (one.until !== null && at <= one.until))) return undefined;
  const newest = genuine.reduce((left, right) => (right.from > left.from ? right : left));
  const found = genuine.map((one) => one.revoked.get(certificate.serial)).filter((one) => one && one.reason !== HOLD);
  if (found.length) return found.reduce((left, right) => (right.when < left.when ? right : left));
  return newest.revoked.get(certificate.serial) ?? null;
}

async function checkRevocation(findings, who, certificate, issuer, at, moment, isLeaf, context) {
  const entry = await revocationOf(certificate, issuer, at, context);
  const name = `“${certificate.name}”`;
  if (entry === undefined) {
    findings.undecided("revocation", `${who.en}: no revocation list or OCSP answer tells of ${name} at ${spoken(at)}.`, `${who.zh}：没有吊销列表或 OCSP 应答说明${name}在 ${spoken(at)} 的状态。`, "TRY_LATER");
    return;
  }
  if (entry === null) {
    findings.passed("revocation", `${who.en}: ${name} was not revoked.`, `${who.zh}：${name}未被吊销。`);
    return;
  }
  const said = spoken(entry.when);
  const before = moment.time < entry.when;
  const provenBefore = moment.proven !== null && moment.proven < entry.when;
  const harmless = HARMLESS_REASONS.has(entry.reason);
  if (entry.reason === HOLD) {
    findings.undecided("revocation", `${who.en}: ${name} is on hold since ${said}.`, `${who.zh}：${name}自 ${said} 起被暂停。`, "TRY_LATER");
  } else if (isLeaf && moment.claimed && !before) {
    findings.failed("revocation", `${who.en}: ${name} was revoked at ${said}, and the time that it states is not earlier.`, `${who.zh}：${name}已于 ${said} 被吊销，而其声明的时间不早于此。`);
  } else if (isLeaf ? (!moment.claimed || harmless || provenBefore) && (before || provenBefore) : before && (!moment.claimed || harmless || provenBefore)) {
    findings.passed("revocation", `${who.en}: ${name} was revoked at ${said}, after ${spoken(moment.time)}.`, `${who.zh}：${name}于 ${said} 被吊销，晚于 ${spoken(moment.time)}。`);
  } else {
    findings.undecided("revocation", `${who.en}: ${name} was revoked at ${said}, and nothing shows that the signature existed before.`, `${who.zh}：${name}于 ${said} 被吊销，且没有材料证明该签名早于此时存在。`);
  }
}
