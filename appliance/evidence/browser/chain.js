// Whether a signer's certificate counted at a moment: its validity, its path to the trust bundle, its revocation.

const UNDERSTOOD = new Set(["2.5.29.15", "2.5.29.19", "2.5.29.37", "2.5.29.32"]);
const HARMLESS_REASONS = new Set([0, 3, 4, 5]);

async function certified(certificate, issuer) {
  if (certificate.issuer !== issuer.subject) return false;
  return checkSignature(issuer.spki, certificate.algorithm, null, certificate.signature, certificate.tbs);
}

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

// Enter the checks of one certificate at a moment; gives the authority that its path ends at, or null.
async function checkChain(findings, who, leaf, pool, role, moment, context) {
  const anchors = context.trust ? context.trust.authorities.filter((one) => one.role === role) : [];
  if (moment < leaf.notBefore || moment > leaf.notAfter) {
    findings.undecided(
      "certificate validity",
      `${who.en}: the certificate of “${leaf.name}” was not in force at ${spoken(moment)}.`,
      `${who.zh}：“${leaf.name}”的证书在 ${spoken(moment)} 不在有效期内。`,
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
      `${who.zh}：没有路径从“${leaf.name}”通向信任包所列的机构。`,
    );
    return null;
  }
  if (path.anchor.compromised) {
    findings.undecided(
      "authority",
      `${who.en}: the trust bundle declares the authority's key compromised. Use cinnabar verify.`,
      `${who.zh}：信任包声明该机构的密钥已泄露。请使用 cinnabar verify。`,
    );
    return null;
  }
  for (const one of path.links) {
    if ([...one.extensions].some(([id, { critical }]) => critical && !UNDERSTOOD.has(id))) {
      findings.undecided(
        "extensions",
        `${who.en}: “${one.name}” has a critical extension that this page does not know.`,
        `${who.zh}：“${one.name}”带有本页不识别的关键扩展。`,
      );
      return null;
    }
  }
  findings.passed(
    "certificate path",
    `${who.en}: “${leaf.name}” was certified by “${path.anchor.certificate.name}”, which the trust bundle names.`,
    `${who.zh}：“${leaf.name}”由信任包所列的“${path.anchor.certificate.name}”认证。`,
  );
  let unrevoked = true;
  for (let at = 0; at + 1 < path.links.length; at += 1) {
    unrevoked = (await checkRevocation(findings, who, path.links[at], path.links[at + 1], moment, context)) && unrevoked;
  }
  return unrevoked ? path.anchor : null;
}

async function checkRevocation(findings, who, certificate, issuer, moment, context) {
  let answered = false;
  for (const list of context.lists) {
    if (list.issuer !== issuer.subject || !list.plain || list.until === null || list.until < moment) continue;
    if (!(await checkSignature(issuer.spki, list.algorithm, null, list.signature, list.tbs))) continue;
    answered = true;
    const entry = list.revoked.get(certificate.serial);
    if (!entry) continue;
    const said = spoken(entry.when);
    if (entry.when <= moment) {
      findings.failed("revocation", `${who.en}: “${certificate.name}” was revoked at ${said}.`, `${who.zh}：“${certificate.name}”已于 ${said} 被吊销。`);
      return false;
    }
    if (!HARMLESS_REASONS.has(entry.reason)) {
      findings.undecided(
        "revocation",
        `${who.en}: “${certificate.name}” was revoked later, at ${said}, for a reason that taints what is older. Use cinnabar verify.`,
        `${who.zh}：“${certificate.name}”此后于 ${said} 被吊销，其原因影响更早的签名。请使用 cinnabar verify。`,
      );
      return false;
    }
  }
  if (!answered) {
    findings.undecided(
      "revocation",
      `${who.en}: no revocation list tells of “${certificate.name}” at ${spoken(moment)}.`,
      `${who.zh}：没有吊销列表说明“${certificate.name}”在 ${spoken(moment)} 的状态。`,
    );
    return false;
  }
  findings.passed("revocation", `${who.en}: “${certificate.name}” was not revoked.`, `${who.zh}：“${certificate.name}”未被吊销。`);
  return true;
}
