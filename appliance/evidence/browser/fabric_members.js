// Who signed on a channel of Hyperledger Fabric: members of the profile's organisations, by their certificates.

const LONGEST_MEMBER_PATH = 4;
// Orders of the groups (SEC 2, sections 2.4.2 and 2.5.1), of which a signature's s lies in the lower half.
const GROUP_ORDERS = {
  "P-256": 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  "P-384": 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
};
const SERIALIZED_IDENTITY = { mspid: [1, "text"], id_bytes: [2, "octets"] };

class NotAMember extends Broken {}
const notAMember = (en, zh) => new NotAMember(en, zh);

// The organisations of a profile, their certificates read. Throws what a certificate is malformed by.
function readMembers(rules) {
  const read = (list) => list.map((one) => readCertificate(fromBase64(one)));
  const msps = new Map(rules.msps.map((one) => [one.name, { ...one, roots: read(one.roots), intermediates: read(one.intermediates) }]));
  const consenters = (rules.orderers?.consenters ?? []).map((one) => ({ ...one, certificate: readCertificate(fromBase64(one.certificate)) }));
  if (msps.size !== rules.msps.length || !isDistinct(consenters.map((one) => one.id))) throw malformed();
  // A quorum is of parties that can be told apart: orderers by their numbers, organisations by their authorities.
  if (rules.orderers?.count > 1 && !consenters.length) throw malformed();
  if (!isDistinct([...msps.values()].flatMap((one) => [...new Set([...one.roots, ...one.intermediates].map((two) => hex(two.spki)))]))) throw malformed();
  return { msps, consenters };
}

// Whom a SerializedIdentity names.
function memberBySerialized(members, serialized, moment, part = null) {
  let identity;
  let certificate;
  try {
    identity = readMessage(serialized, SERIALIZED_IDENTITY);
    certificate = readCertificate(fromPem(fromUtf8(identity.id_bytes)));
  } catch {
    throw notAMember("the identity cannot be read", "无法读取该身份");
  }
  return memberOf(members, identity.mspid, certificate, moment, part);
}

function fromPem(said) {
  const found = /-----BEGIN CERTIFICATE-----\s([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/.exec(said);
  if (!found) throw malformed();
  return fromBase64(found[1].replace(/\s/g, ""));
}

// Who holds a certificate, at a moment in milliseconds: { msp, certificate, curve, until }, the last when its path ends.
async function memberOf(members, msp, certificate, moment, part) {
  const known = members.msps.get(msp);
  const name = shown(msp, 80);
  if (!known) throw notAMember(`“${name}” is none of the profile's organisations`, `“${name}”不是配置所列的组织`);
  const path = await memberPath(known, certificate, LONGEST_MEMBER_PATH - 1);
  if (!path) throw notAMember(`a certificate does not come from the CAs of ${name}`, `证书并非出自 ${name} 的证书机构`);
  if (known.revoked.includes(await sha256Hex(certificate.bytes))) throw notAMember(`a certificate of ${name} is revoked`, `${name} 的证书已被吊销`);
  if (part !== null && known.node_ous && !unitsOf(certificate).includes(part)) {
    throw notAMember(`a certificate of ${name} is not that of a ${part}`, `${name} 的证书不是 ${part} 的证书`);
  }
  if (!path.every((one) => one.notBefore <= moment && moment <= one.notAfter)) {
    throw notAMember(`a certificate of ${name} is not valid at the transaction's time`, `${name} 的证书在交易时间不在有效期内`);
  }
  return { msp, certificate, curve: curveOf(certificate), until: Math.min(...path.map((one) => one.notAfter)) };
}

// From a certificate to a root, or null.
async function memberPath(msp, certificate, left) {
  for (const root of msp.roots) if (await isIssuedBy(certificate, root)) return [certificate, root];
  for (const between of left > 1 ? msp.intermediates : []) {
    const above = (await isIssuedBy(certificate, between)) ? await memberPath(msp, between, left - 1) : null;
    if (above) return [certificate, ...above];
  }
  return null;
}

const isIssuedBy = async (certificate, authority) => authority.ca && (authority.usage === null || (authority.usage & 0x04) !== 0) && certified(certificate, authority);

// The organisational units of the holder's name.
function unitsOf(certificate) {
  const sets = members(sole(fromHex(certificate.subject)));
  return sets.flatMap((set) => members(set, 0x31).map((one) => fields(one, 2)).filter(([type]) => oid(type) === "2.5.4.11").map(([, value]) => new TextDecoder().decode(value.content)));
}

// On which curve the holder's key is; null: on none that this page knows.
function curveOf(certificate) {
  const kind = members(fields(sole(certificate.spki), 2)[0]);
  const known = oid(kind[0]) === "1.2.840.10045.2.1" && kind[1] && CURVES[oid(kind[1])];
  return known ? known[0] : null;
}

// Whether a member signed a message: ECDSA over SHA-256 with s in the lower half, as Fabric takes it.
async function memberSigned({ certificate, curve }, message, signature) {
  if (!Object.hasOwn(GROUP_ORDERS, curve ?? "")) return false;
  const size = BITS[curve] / 8;
  let raw;
  try {
    raw = rawEcdsa(signature, size);
  } catch {
    return false;
  }
  if (toNumber(raw.subarray(size)) > GROUP_ORDERS[curve] / 2n) return false;
  const key = await crypto.subtle.importKey("spki", certificate.spki, { name: "ECDSA", namedCurve: curve }, false, ["verify"]);
  return crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, key, raw, message);
}
