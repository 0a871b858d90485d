// Approvers' signatures inside an event, each over the draft: passkeys' assertions (WebAuthn level 3, section 7.2) and
// cards' signatures (CMS), with the keys that lie beside the event. Judged as appliance.evidence.letters.approvals does.

const APPROVAL_PREFIX = "cinnabar letter approval v2\n";
const FIRST_APPROVAL_PREFIX = "cinnabar letter approval v1\n"; // of events of the format cinnabar-event/1, which name no step
const DATA = "1.2.840.113549.1.7.1";
const NAME_FORM = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;
const FLAGS = { present: 0x01, verified: 0x04, eligible: 0x08, copied: 0x10, attested: 0x40, extended: 0x80 };
const COSE_CURVES = { "-7": [1, "P-256", 32, "SHA-256"], "-35": [2, "P-384", 48, "SHA-384"], "-36": [3, "P-521", 66, "SHA-512"] };

class Refused extends Broken {}
const refused = (en, zh) => new Refused(en, zh);

function readApprovers(bytes) {
  const found = readCanonical(bytes);
  const isText = (value) => typeof value === "string";
  const isCredential = (one) =>
    hasMembers(one, ["kind", "id", "public_key", "model", "backup_eligible", "rp_id"]) && ["passkey", "card"].includes(one.kind) &&
    [one.id, one.public_key, one.model, one.rp_id].every(isText) && typeof one.backup_eligible === "boolean";
  const right =
    hasMembers(found, ["format", "tenant", "constitution", "rules", "policies", "persons"]) && found.format === "cinnabar-approvers/1" &&
    NAME_FORM.test(found.tenant) && /^[0-9a-f]{64}$/.test(found.constitution) && Array.isArray(found.policies) &&
    isObject(found.rules) && isText(found.rules.rp_id) && Array.isArray(found.rules.origins) && found.rules.origins.every(isText) &&
    typeof found.rules.backup_eligible === "boolean" && Array.isArray(found.persons) &&
    found.persons.every((one) => hasMembers(one, ["id", "credentials"]) && NAME_FORM.test(one.id) && Array.isArray(one.credentials) && one.credentials.every(isCredential));
  if (!right) throw damaged("the approvers' keys are malformed", "审批人密钥格式损坏");
  return found;
}

// What an approver signs: her step, and the event before anybody had approved it, and before anything in it was opened.
function approvalText(event, approval) {
  const fields = Object.fromEntries(Object.entries(event.fields).filter(([name]) => !(name in event.opened)));
  const draft = canonical({ ...event, approvals: [], at: "", fields, opened: {} });
  if (event.format === "cinnabar-event/1") return utf8(FIRST_APPROVAL_PREFIX + draft);
  const { limits = [], policy, step } = approval;
  return utf8(`${APPROVAL_PREFIX}${canonical({ limits, policy, step })}\n${draft}`);
}

// One item of CBOR in the form of CTAP2: integers, bytes, texts, and maps of them with their labels in order.
function readCbor(bytes) {
  const malformedKey = () => refused("a public key is not in the form of CTAP2", "公钥不是 CTAP2 形式");
  let at = 0;
  const head = () => {
    if (at >= bytes.length) throw malformedKey();
    const first = bytes[at++];
    let value = first & 0x1f;
    if (value >= 24) {
      const size = { 24: 1, 25: 2, 26: 4 }[value];
      if (!size || at + size > bytes.length) throw malformedKey();
      value = bytes.subarray(at, at + size).reduce((sum, byte) => sum * 256 + byte, 0);
      if (value < (size === 1 ? 24 : 256 ** (size / 2))) throw malformedKey();
      at += size;
    }
    return [first >> 5, value];
  };
  const [type, count] = head();
  if (type !== 5) throw malformedKey();
  const found = new Map();
  let last = null;
  for (let number = 0; number < count; number += 1) {
    const begin = at;
    const [kind, value] = head();
    if (kind > 1) throw malformedKey();
    const encoded = bytes.subarray(begin, at);
    if (last && (encoded.length < last.length || (encoded.length === last.length && before(last, encoded) >= 0))) throw malformedKey();
    last = encoded;
    const [inner, size] = head();
    let member = inner ? -1 - size : size;
    if (inner === 2) {
      if (at + size > bytes.length) throw malformedKey();
      member = bytes.subarray(at, (at += size));
    } else if (inner > 1) throw malformedKey();
    found.set(kind ? -1 - value : value, member);
  }
  if (at !== bytes.length) throw malformedKey();
  return found;
}

// Whether a COSE key (RFC 9053) made a signature; ECDSA signatures are DER (WebAuthn level 3, section 6.5.5).
async function checkCose(encoded, signature, message) {
  const key = readCbor(encoded);
  const labels = [...key.keys()].sort((left, right) => left - right).join();
  const curve = COSE_CURVES[key.get(3)];
  const bytesOf = (label, size) => {
    const value = key.get(label);
    if (!(value instanceof Uint8Array) || (size && value.length !== size)) throw refused("a public key is malformed", "公钥格式错误");
    return value;
  };
  if (key.get(1) === 2 && curve && key.get(-1) === curve[0] && labels === "-3,-2,-1,1,3") {
    const jwk = { kty: "EC", crv: curve[1], x: toBase64url(bytesOf(-2, curve[2])), y: toBase64url(bytesOf(-3, curve[2])) };
    const imported = await importedKey("jwk", jwk, { name: "ECDSA", namedCurve: curve[1] });
    let raw;
    try {
      raw = rawEcdsa(signature, curve[2]);
    } catch {
      return false;
    }
    return crypto.subtle.verify({ name: "ECDSA", hash: curve[3] }, imported, raw, message);
  }
  if (key.get(1) === 1 && key.get(3) === -8 && key.get(-1) === 6 && labels === "-2,-1,1,3") return checkEd25519(bytesOf(-2, 32), signature, message);
  if (key.get(1) === 3 && key.get(3) === -257 && labels === "-2,-1,1,3") {
    const jwk = { kty: "RSA", n: toBase64url(bytesOf(-1)), e: toBase64url(bytesOf(-2)) };
    const imported = await importedKey("jwk", jwk, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" });
    if (imported.algorithm.modulusLength < 2048) throw refused("a public key is of a kind that is not permitted", "公钥类型不被允许");
    return crypto.subtle.verify("RSASSA-PKCS1-v1_5", imported, signature, message);
  }
  throw refused("a public key is of a kind that is not permitted", "公钥类型不被允许");
}

async function importedKey(form, key, algorithm) {
  try {
    return await crypto.subtle.importKey(form, key, algorithm, false, ["verify"]);
  } catch {
    throw refused("a public key is malformed", "公钥格式错误");
  }
}

// JSON whose objects have no member twice, which JSON.parse would not tell.
function readUnique(said) {
  const open = [];
  for (const [token] of said.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g)) {
    const inner = open[open.length - 1];
    if (token === "{" || token === "[") open.push({ names: new Set(), last: "" });
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":" && inner) {
      const name = JSON.parse(inner.last);
      if (inner.names.has(name)) throw damaged("a member stands twice", "某成员出现两次");
      inner.names.add(name);
    } else if (inner) inner.last = token;
  }
  return JSON.parse(said);
}

async function checkPasskey(assertion, credential, rules, draft) {
  const { clientDataJSON, authenticatorData, signature: said } = assertion.response;
  const [clientData, data, signature] = [clientDataJSON, authenticatorData, said].map(fromBase64url);
  if (credential.rp_id !== rules.rp_id) throw refused("the passkey is of another relying party", "通行密钥属于另一依赖方");
  let client;
  try {
    if (clientData.length > 8192) throw malformed();
    client = readUnique(fromUtf8(clientData));
  } catch {
    client = null;
  }
  if (!isObject(client) || client.type !== "webauthn.get") throw refused("the client data is none of an approval", "客户端数据不属于审批");
  if (client.challenge !== toBase64url(await sha256(draft))) throw refused("something else was signed than this draft", "所签的不是此草稿");
  if (!rules.origins.includes(client.origin)) throw refused("the approval came from another origin", "审批来自其他来源");
  if ((client.crossOrigin ?? false) !== false || client.crossOrigin === null || "topOrigin" in client) throw refused("the approval was made inside another site's page", "审批是在其他网站的页面中作出的");
  const flags = data[32];
  if (data.length < 37 || data.length > 8192) throw refused("the authenticator data has no permitted length", "认证器数据长度不被允许");
  if (flags & FLAGS.attested || (flags & FLAGS.extended ? !isMap(data.subarray(37)) : data.length !== 37)) throw refused("the authenticator data brings more than an approval has", "认证器数据含有审批之外的内容");
  if (flags & FLAGS.copied && !(flags & FLAGS.eligible)) throw refused("a passkey that cannot be copied says that it was", "不可复制的通行密钥自称已被复制");
  if (!equal(data.subarray(0, 32), await sha256(utf8(rules.rp_id)))) throw refused("the authenticator answered another relying party", "认证器回应的是另一依赖方");
  if (!(flags & FLAGS.present) || !(flags & FLAGS.verified)) throw refused("the authenticator did not verify its user", "认证器未验证其用户");
  if (Boolean(flags & FLAGS.eligible) !== credential.backup_eligible) throw refused("the passkey says something else about copies than when it was enrolled", "通行密钥关于可否复制的说法与登记时不同");
  if (flags & FLAGS.eligible && !rules.backup_eligible) throw refused("passkeys that can be copied are not permitted", "不允许可复制的通行密钥");
  const holds = await checkCose(fromBase64(credential.public_key), signature, concat(data, await sha256(clientData)));
  if (!holds) throw refused("the signature does not fit the draft and the key", "签名与草稿及密钥不符");
}

// Where one item of CBOR of any kind ends.
function endOfCbor(bytes, at, depth = 0) {
  const first = bytes[at];
  const [type, information] = [first >> 5, first & 0x1f];
  const size = information < 24 ? 0 : 2 ** (information - 24);
  if (at + 1 + (size <= 8 ? size : 0) > bytes.length || depth > 32) throw refused("not CBOR", "不是 CBOR");
  let end = at + 1;
  if (information === 31 && type >= 2 && type <= 5) {
    while (bytes[end] !== 0xff) end = endOfCbor(bytes, end, depth + 1);
    return end + 1;
  }
  if (size > 8) throw refused("not CBOR", "不是 CBOR");
  const value = size ? bytes.subarray(end, (end += size)).reduce((sum, byte) => sum * 256 + byte, 0) : information;
  if (type === 2 || type === 3) end += value;
  for (let left = { 4: value, 5: 2 * value, 6: 1 }[type] ?? 0; left > 0; left -= 1) end = endOfCbor(bytes, end, depth + 1);
  if (end > bytes.length) throw refused("not CBOR", "不是 CBOR");
  return end;
}

// What follows the authenticator data is one map of extensions, and nothing else.
const isMap = (bytes) => bytes.length > 0 && bytes[0] >> 5 === 5 && endOfCbor(bytes, 0) === bytes.length;

// A card's detached CMS by exactly the certificate that was enrolled (appliance.ceremonies.cards).
async function checkEnrolledCard(encoded, credential, draft, at) {
  const certificateBytes = fromBase64(credential.public_key);
  if ((await sha256Hex(certificateBytes)) !== credential.id) throw refused("the credential does not name its certificate", "凭据与其证书不符");
  const card = readCertificate(certificateBytes);
  if (card.usage !== null && !(card.usage & 0xc0)) throw refused("the card's certificate is not for signatures", "卡证书不用于签名");
  if (at < card.notBefore || at > card.notAfter) throw refused("the card's certificate was not valid then", "卡证书当时无效");
  const signedData = readSignedData(encoded);
  const [signer] = signedData.signers;
  if (signedData.content !== null || signedData.type !== DATA || signedData.signers.length !== 1) throw refused("a card signs detached, and alone", "卡须以分离方式单独签名");
  if (signedData.certificates.some((one) => !equal(one.bytes, certificateBytes))) throw refused("the signature brings another certificate", "签名带有其他证书");
  const fits = signer.named ? signer.named.issuer === card.issuer && signer.named.serial === card.serial : signer.keyIdentifier === card.keyIdentifier;
  if (!fits) throw refused("the signature names another certificate", "签名指明了其他证书");
  const type = signer.attributes.get(CONTENT_TYPE);
  if (!type || oid(type) !== DATA) throw refused("the card signed another type of content", "卡所签的内容类型不同");
  if (!equal(await digest(signer.hash, draft), content(signer.attributes.get(MESSAGE_DIGEST), 0x04))) throw refused("something else was signed than this draft", "所签的不是此草稿");
  if (!(await checkSignature(card.spki, signer.algorithm, signer.hash, signer.signature, signer.covered))) throw refused("the signature does not fit the draft and the key", "签名与草稿及密钥不符");
}

// By one of the keys that lie beside the event. Throws where it is not.
async function checkEnrolled(approval, signature, approvers, draft, at) {
  const person = approvers.persons.find((one) => one.id === approval.approver);
  if (!person) throw refused("the keys beside the event have none of this person", "事件旁的密钥中没有此人的");
  if (approval.form === "webauthn") {
    const assertion = readCanonical(signature);
    const right =
      hasMembers(assertion, ["id", "response"]) && hasMembers(assertion.response, ["authenticatorData", "clientDataJSON", "signature"]) &&
      [assertion.id, ...Object.values(assertion.response)].every((one) => typeof one === "string");
    const credential = right && person.credentials.find((one) => one.kind === "passkey" && one.id === assertion.id);
    if (!credential) throw refused("the keys beside the event have no such passkey of this person", "事件旁的密钥中没有此人的此通行密钥");
    return checkPasskey(assertion, credential, approvers.rules, draft);
  }
  let reason = refused("the keys beside the event have no card of this person", "事件旁的密钥中没有此人的卡");
  for (const card of person.credentials.filter((one) => one.kind === "card")) {
    try {
      return await checkEnrolledCard(signature, card, draft, at);
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}

// A card's signature by a certificate that leads to the trust bundle, as a seal's does.
async function checkTrustedCard(found, encoded, draft, context, provenAt) {
  const who = text("Approval", "审批");
  const signedData = readSignedData(encoded);
  if (signedData.signers.length !== 1 || signedData.content !== null) throw malformed();
  const [signer] = signedData.signers;
  const pool = [...signedData.certificates, ...context.certificates];
  const certificate = pool.find((one) => isNamed(signer, one));
  found.expect(
    equal(await digest(signer.hash, draft), content(signer.attributes.get(MESSAGE_DIGEST), 0x04)), "content",
    text("It is over exactly this event, before it was approved.", "它所涵盖的正是审批之前的此事件。"),
    text("It is over something else than this event.", "它所涵盖的不是此事件。"),
  );
  if (!certificate) {
    found.undecided("signing certificate", "The approver's certificate is not there.", "没有审批人的证书。");
    return null;
  }
  found.expect(
    await checkSignature(certificate.spki, signer.algorithm, signer.hash, signer.signature, signer.covered), "signature",
    text(`Made with the private key of “${certificate.name}”.`, `由“${certificate.name}”的私钥作出。`),
    text(`Not made with the private key of “${certificate.name}”.`, `不是由“${certificate.name}”的私钥作出。`),
  );
  checkStrength(found, text("The card's signature", "卡片的签名"), signerUses(signer, certificate), provenAt, context);
  const moment = { time: provenAt ?? context.now, claimed: false, proven: provenAt, relied: provenAt };
  await checkChain(found, who, certificate, pool, "seal", moment, context);
  return certificate.name;
}

// A passkey's assertion in a file from before the keys lay beside: whether its challenge is this event.
async function checkAssertionAlone(found, encoded, draft) {
  const client = readUnique(fromUtf8(fromBase64url(readUnique(fromUtf8(encoded)).response.clientDataJSON)));
  const right = equal(fromBase64url(client.challenge), await sha256(draft));
  found.expect(
    right, "content",
    text("It is over exactly this event, before it was approved.", "它所涵盖的正是审批之前的此事件。"),
    text("It is over something else than this event.", "它所涵盖的不是此事件。"),
  );
  found.undecided("approval", "A passkey's signature: its public key is not in the file.", "通行密钥签名：其公钥不在文件中。");
}

async function judgeApproval(approval, event, approvers, context, provenAt) {
  const found = new Findings();
  let signer = "";
  try {
    const signature = fromBase64(approval.signature);
    const draft = approvalText(event, approval);
    if (approvers) {
      await checkEnrolled(approval, signature, approvers, draft, Date.parse(event.at));
      found.passed("content", "It is over exactly this event, before it was approved, by a key of this person's.", "它由此人的密钥对审批之前的此事件作出。");
      signer = `${approval.approver}, ${approvers.constitution.slice(0, 16)}`;
      if (approval.form === "cms") signer = (await checkTrustedCard(found, signature, draft, context, provenAt)) ?? signer;
      else found.undecided("approvers", "The keys beside the event are in no constitution that this page knows.", "事件旁的密钥不在本页所知的任何章程中。");
    } else if (approval.form === "cms") signer = await checkTrustedCard(found, signature, draft, context, provenAt);
    else await checkAssertionAlone(found, signature, draft);
  } catch (error) {
    const said = saidBy(error);
    found.add(error instanceof Unable ? "undecided" : "failed", "approval", text(`${said.en}.`, `${said.zh}。`));
  }
  return { found, signer };
}

// Each by itself: one that is refuted refutes the event; one that nothing given decides is noted.
async function judgeApprovals(findings, layout, step, context, provenAt) {
  const { event } = step;
  const encoded = layout.entries.get(`event-${step.tail}/approvers.json`);
  let approvers = null;
  if (encoded && layout.references.get(step.tail).has(`event-${step.tail}/approvers.json`)) {
    try {
      approvers = readApprovers(encoded);
    } catch {
      findings.failed("approvers", "The approvers' keys are malformed.", "审批人密钥格式损坏。");
      return;
    }
    findings.expect(
      approvers.tenant === event.actor.tenant, "approvers",
      text(`The approvers' keys are those of the constitution with the SHA-256 ${approvers.constitution}.`, `审批人密钥取自 SHA-256 为 ${approvers.constitution} 的章程。`),
      text("The approvers' keys are of another tenant.", "审批人密钥属于另一租户。"),
    );
  }
  if (event.approvals.length && event.format === "cinnabar-event/1") {
    findings.note(
      "approval", "Approvals of events of this format do not name their step: which each was for is the seal's word.",
      "此格式事件的审批未注明步骤：各审批所属步骤仅由签章说明。",
    );
  }
  for (const approval of event.approvals) {
    const { found, signer } = await judgeApproval(approval, event, approvers, context, provenAt);
    const said = [approval.policy, (approval.limits ?? []).join(", ")].filter(Boolean).map((one) => shown(one, 200)).join(": ");
    const place = said ? `${approval.step + 1} (${said})` : `${approval.step + 1}`;
    const who = text(`Step ${place}, approver ${shown(approval.approver, 80)}`, `步骤 ${place}，审批人 ${shown(approval.approver, 80)}`);
    const reasons = (outcome, language) => found.checks.filter((one) => one.outcome === outcome).map((one) => one.said[language]).join(" ");
    if (found.indication === "TOTAL-PASSED") {
      findings.passed("approval", `${who.en}: signed by “${shown(signer, 200)}” over exactly this event.`, `${who.zh}：由“${shown(signer, 200)}”对此事件签名。`);
    } else if (found.indication === "TOTAL-FAILED") {
      findings.failed("approval", `${who.en}: ${reasons("failed", "en")}`, `${who.zh}：${reasons("failed", "zh")}`);
    } else {
      findings.note(
        "approval", `${who.en}: INDETERMINATE. ${reasons("undecided", "en")} That the box had checked it is said by the seal alone.`,
        `${who.zh}：INDETERMINATE。${reasons("undecided", "zh")}设备曾检查过，此点仅由签章说明。`,
      );
    }
  }
}
