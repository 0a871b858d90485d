// A strict reader of DER (ITU-T X.690), and what stands in certificates and CMS (RFC 5280, RFC 5652).

const malformed = () => new Broken("malformed DER", "DER 格式错误");

function readDer(bytes, at = 0) {
  if (at + 2 > bytes.length) throw malformed();
  const tag = bytes[at];
  if ((tag & 0x1f) === 0x1f || tag === 0) throw malformed();
  let length = bytes[at + 1];
  let begin = at + 2;
  if (length & 0x80) {
    const count = length & 0x7f;
    // BER of indefinite length, which some cards and programs write: cinnabar verify reads it.
    if (count === 0) throw new Indefinite();
    if (count > 4 || begin + count > bytes.length || bytes[begin] === 0) throw malformed();
    length = 0;
    for (let number = 0; number < count; number += 1) length = length * 256 + bytes[begin + number];
    begin += count;
    if (length < 0x80) throw malformed();
  }
  if (begin + length > bytes.length) throw malformed();
  return { tag, raw: bytes.subarray(at, begin + length), content: bytes.subarray(begin, begin + length) };
}

function members(node, tag = 0x30) {
  if (node === undefined || node.tag !== tag) throw malformed();
  const found = [];
  for (let at = 0; at < node.content.length; ) {
    const one = readDer(node.content, at);
    found.push(one);
    at += one.raw.length;
  }
  return found;
}

// As many members as what is read has, and none behind them.
function fields(node, least, most = least, tag = 0x30) {
  const found = members(node, tag);
  if (found.length < least || found.length > most) throw malformed();
  return found;
}

function sole(bytes) {
  const node = readDer(bytes);
  if (node.raw.length !== bytes.length) throw malformed();
  return node;
}

function content(node, tag) {
  if (node === undefined || node.tag !== tag) throw malformed();
  return node.content;
}

function oid(node) {
  const bytes = content(node, 0x06);
  if (bytes.length === 0 || bytes.length > 64 || bytes[bytes.length - 1] & 0x80) throw malformed();
  const numbers = [];
  let value = 0n;
  for (const [at, byte] of bytes.entries()) {
    if (byte === 0x80 && !(bytes[at - 1] & 0x80)) throw malformed();
    value = value * 128n + BigInt(byte & 0x7f);
    if (!(byte & 0x80)) {
      numbers.push(value);
      value = 0n;
    }
  }
  const first = numbers[0] < 40n ? 0n : numbers[0] < 80n ? 1n : 2n;
  return [first, numbers[0] - 40n * first, ...numbers.slice(1)].join(".");
}

const bits = (node) => {
  const found = content(node, 0x03);
  if (found.length === 0) throw malformed();
  return found.subarray(1);
};

const wholeBits = (node) => {
  if (content(node, 0x03)[0] !== 0) throw malformed();
  return bits(node);
};

// The bytes of an INTEGER or ENUMERATED, in its one spelling.
function integer(node, most = 64, tag = 0x02) {
  const bytes = content(node, tag);
  const padded = bytes.length > 1 && ((bytes[0] === 0 && bytes[1] < 0x80) || (bytes[0] === 0xff && bytes[1] >= 0x80));
  if (bytes.length === 0 || bytes.length > most || padded) throw malformed();
  return bytes;
}

function smallInteger(node, most = 6, tag = 0x02) {
  const bytes = integer(node, most, tag);
  return bytes.reduce((sum, byte) => sum * 256 + byte, bytes[0] & 0x80 ? -1 : 0);
}

function time(node) {
  const said = fromUtf8(node.content);
  const found =
    node.tag === 0x17
      ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)()Z$/.exec(said)
      : node.tag === 0x18
        ? /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d{0,5}[1-9])?Z$/.exec(said)
        : null;
  if (!found) throw malformed();
  let year = Number(found[1]);
  if (node.tag === 0x17) year += year < 50 ? 2000 : 1900;
  const fraction = found[7] ? Number(`0${found[7]}`) * 1000 : 0;
  const at = Date.UTC(year, Number(found[2]) - 1, ...found.slice(3, 7).map(Number));
  // A day or an hour that there is none of would be carried over.
  const again = new Date(at).toISOString().replace(/\D/g, "").slice(0, 14);
  if (!again.endsWith(found.slice(2, 7).join("")) || !again.startsWith(String(year).padStart(4, "0"))) throw malformed();
  return at + fraction;
}

const HASHES = {
  "2.16.840.1.101.3.4.2.1": "SHA-256",
  "2.16.840.1.101.3.4.2.2": "SHA-384",
  "2.16.840.1.101.3.4.2.3": "SHA-512",
  "1.2.156.10197.1.401": "SM3",
};
const SIGNATURES = {
  "1.2.840.10045.4.3.2": ["ECDSA", "SHA-256"],
  "1.2.840.10045.4.3.3": ["ECDSA", "SHA-384"],
  "1.2.840.10045.4.3.4": ["ECDSA", "SHA-512"],
  "1.2.840.113549.1.1.11": ["RSASSA-PKCS1-v1_5", "SHA-256"],
  "1.2.840.113549.1.1.12": ["RSASSA-PKCS1-v1_5", "SHA-384"],
  "1.2.840.113549.1.1.13": ["RSASSA-PKCS1-v1_5", "SHA-512"],
  "1.2.840.113549.1.1.1": ["RSASSA-PKCS1-v1_5", null],
  "1.2.840.113549.1.1.10": ["RSA-PSS", null],
  "1.3.101.112": ["Ed25519", null],
};
const CURVES = { "1.2.840.10045.3.1.7": ["P-256", 32], "1.3.132.0.34": ["P-384", 48], "1.3.132.0.35": ["P-521", 66] };

class Unable extends Broken {}
const unable = () => new Unable("An algorithm that this browser, or this page, cannot check.", "此浏览器或本页无法检查的算法。");
class Indefinite extends Unable {
  constructor() {
    super("BER of indefinite length, which this page does not read", "本页不读取的不定长 BER");
  }
}

function hashOf(algorithm) {
  const [id, parameters] = fields(algorithm, 1, 2);
  const name = HASHES[oid(id)];
  if (!name || (parameters && (parameters.tag !== 0x05 || parameters.content.length))) throw unable();
  return name;
}

function rawEcdsa(signature, size) {
  const numbers = fields(sole(signature), 2).map((one) => integer(one, size + 1));
  return concat(
    ...numbers.map((number) => {
      if (number[0] & 0x80) throw malformed();
      const short = number[0] === 0 ? number.subarray(1) : number;
      if (short.length > size) throw malformed();
      return concat(new Uint8Array(size - short.length), short);
    }),
  );
}

async function checkSignature(spki, algorithm, hash, signature, message) {
  const parts = fields(algorithm, 1, 2);
  const known = SIGNATURES[oid(parts[0])];
  if (!known) throw unable();
  let [name, hashName] = known;
  const parameters = {};
  const key = members(fields(sole(spki), 2)[0]);
  const imported = { name };
  if (name === "ECDSA") {
    const curve = CURVES[key[1] ? oid(key[1]) : ""];
    if (!curve) throw unable();
    imported.namedCurve = curve[0];
    parameters.hash = hashName;
    try {
      signature = rawEcdsa(signature, curve[1]);
    } catch {
      return false;
    }
  } else if (name === "RSA-PSS") {
    if (!parts[1]) throw unable();
    const given = members(parts[1]);
    const next = (tag) => (given[0]?.tag === tag ? sole(given.shift().content) : null);
    const [hashPart, maskPart, salt, trailer] = [0xa0, 0xa1, 0xa2, 0xa3].map(next);
    if (given.length) throw malformed();
    if (!hashPart || !maskPart) throw unable();
    hashName = hashOf(hashPart);
    const [mask, maskHash] = fields(maskPart, 2);
    if (oid(mask) !== "1.2.840.113549.1.1.8" || hashOf(maskHash) !== hashName || (trailer && smallInteger(trailer, 1) !== 1)) throw unable();
    parameters.saltLength = salt ? smallInteger(salt, 2) : 20;
    if (parameters.saltLength < 0 || parameters.saltLength > 512) throw unable();
  } else if (name === "RSASSA-PKCS1-v1_5") hashName = hashName ?? hash;
  if (hashName && hash && hashName !== hash) throw unable();
  if (name.startsWith("RSA")) imported.hash = hashName;
  let verifying;
  try {
    verifying = await crypto.subtle.importKey("spki", spki, imported, false, ["verify"]);
  } catch {
    throw unable();
  }
  if (name.startsWith("RSA") && verifying.algorithm.modulusLength < 2048) throw unable();
  return crypto.subtle.verify({ name, ...parameters }, verifying, signature, message);
}

function readExtensions(node) {
  const found = new Map();
  for (const one of members(sole(node.content))) {
    const parts = fields(one, 2, 3);
    const critical = parts.length === 3 && content(parts[1], 0x01)[0] === 0xff;
    const id = oid(parts[0]);
    if (found.has(id)) throw malformed();
    found.set(id, { critical, value: content(parts[parts.length - 1], 0x04) });
  }
  return found;
}

function readName500(node) {
  const found = {};
  for (const set of members(node)) {
    for (const one of members(set, 0x31)) {
      const [type, value] = fields(one, 2);
      found[oid(type)] = value.tag === 0x1e ? "" : new TextDecoder().decode(value.content);
    }
  }
  return [found["2.5.4.3"], found["2.5.4.10"]].filter(Boolean).map((one) => shown(one, 200)).join(", ") || "?";
}

function readCertificate(bytes) {
  const [tbs, algorithm, signature] = fields(sole(bytes), 3);
  const parts = members(tbs);
  if (parts[0].tag === 0xa0) parts.shift();
  const [serial, , issuer, validity, subject, spki, ...rest] = parts;
  const [notBefore, notAfter] = fields(validity, 2).map(time);
  const extensions = rest.filter((one) => one.tag === 0xa3).map(readExtensions)[0] ?? new Map();
  const usage = extensions.get("2.5.29.15");
  const constraints = extensions.get("2.5.29.19");
  const purposes = extensions.get("2.5.29.37");
  return {
    bytes, algorithm, notBefore, notAfter, extensions,
    tbs: tbs.raw,
    signature: wholeBits(signature),
    serial: hex(content(serial, 0x02)),
    issuer: hex(issuer.raw),
    subject: hex(subject.raw),
    name: readName500(subject),
    spki: spki.raw,
    usage: usage ? bits(sole(usage.value))[0] ?? 0 : null,
    ca: constraints ? members(sole(constraints.value)).some((one) => one.tag === 0x01 && one.content[0] === 0xff) : false,
    below: constraints ? members(sole(constraints.value)).filter((one) => one.tag === 0x02).map((one) => smallInteger(one))[0] ?? Infinity : Infinity,
    purposes: purposes ? members(sole(purposes.value)).map(oid) : null,
    keyIdentifier: extensions.has("2.5.29.14") ? hex(content(sole(extensions.get("2.5.29.14").value), 0x04)) : null,
  };
}

// The certificates that can be read; the others are of no use to anyone.
function readable(nodes) {
  return nodes.flatMap((one) => {
    try {
      return [readCertificate(one.raw)];
    } catch {
      return [];
    }
  });
}

const LIST_EXTENSIONS = new Set(["2.5.29.20", "2.5.29.35"]);

function readList(bytes) {
  const [tbs, algorithm, signature] = fields(sole(bytes), 3);
  const parts = members(tbs);
  if (parts[0].tag === 0x02) integer(parts.shift(), 1);
  const [inner, issuer, thisUpdate, ...rest] = parts;
  if (!equal(inner.raw, algorithm.raw) || issuer?.tag !== 0x30) throw malformed();
  const until = rest.length && (rest[0].tag === 0x17 || rest[0].tag === 0x18) ? time(rest.shift()) : null;
  const revoked = new Map();
  let plain = true;
  if (rest.length && rest[0].tag === 0x30) {
    for (const one of members(rest.shift())) {
      const [serial, when, more] = fields(one, 2, 3);
      let reason = null;
      for (const [type, ...value] of more ? members(more).map((extension) => fields(extension, 2, 3)) : []) {
        if (oid(type) === "2.5.29.21") reason = smallInteger(sole(content(value[value.length - 1], 0x04)), 1, 0x0a);
        else if (value.length === 2) plain = false;
      }
      revoked.set(hex(integer(serial)), { when: time(when), reason });
    }
  }
  if (rest.length > 1 || (rest.length && rest[0].tag !== 0xa0)) throw malformed();
  const extensions = rest.map(readExtensions)[0] ?? new Map();
  return {
    algorithm, until, revoked, tbs: tbs.raw, signature: wholeBits(signature), issuer: hex(issuer.raw), from: time(thisUpdate),
    plain: plain && ![...extensions].some(([id, one]) => one.critical && !LIST_EXTENSIONS.has(id)),
  };
}

const NAMED_BY = { "1.3.14.3.2.26": "SHA-1", "2.16.840.1.101.3.4.2.1": "SHA-256" };

// An OCSP answer (RFC 6960) about one certificate.
function readAnswer(bytes) {
  const [status, wrapped] = fields(sole(bytes), 2);
  const [kind, encoded] = fields(sole(content(wrapped, 0xa0)), 2);
  if (smallInteger(status, 1, 0x0a) !== 0 || oid(kind) !== "1.3.6.1.5.5.7.48.1.1") throw malformed();
  const [data, algorithm, signature, given] = fields(sole(content(encoded, 0x04)), 3, 4);
  const parts = fields(data, 3, 4);
  const extensionsOf = (node) => (node ? members(sole(content(node, 0xa1))) : []);
  if (![0xa1, 0xa2].includes(parts[0].tag) || parts[1].tag !== 0x18) throw malformed();
  time(parts[1]);
  const [one] = fields(parts[2], 1);
  const [named, told, from, ...rest] = members(one);
  const until = rest[0]?.tag === 0xa0 ? time(sole(rest.shift().content)) : null;
  const [hash, issuerName, issuerKey, serial] = fields(named, 4);
  const namedBy = NAMED_BY[oid(fields(hash, 1, 2)[0])];
  const extensions = [...extensionsOf(parts[3]), ...extensionsOf(rest.shift())].map((inner) => fields(inner, 2, 3));
  if (rest.length || !namedBy || extensions.some((inner) => inner.length === 3)) throw malformed();
  let entry = null;
  if (told.tag === 0xa1) {
    const [when, reason] = fields(told, 1, 2, 0xa1);
    entry = { when: time(when), reason: reason ? smallInteger(sole(content(reason, 0xa0)), 1, 0x0a) : null };
  } else if (told.tag !== 0x80) throw malformed();
  const number = hex(integer(serial));
  const responders = readable(given ? fields(sole(content(given, 0xa0)), 0, 4) : []);
  return {
    algorithm, until, namedBy, responders, tbs: data.raw, signature: wholeBits(signature), from: time(from), serial: number,
    issuerName: content(issuerName, 0x04), issuerKey: content(issuerKey, 0x04), revoked: new Map(entry ? [[number, entry]] : []),
  };
}

// Stands for an attribute that is not there once with one value: who needs it finds it malformed.
const SEVERAL = { tag: -1, raw: new Uint8Array(), content: new Uint8Array() };

function readAttributes(node) {
  const found = new Map();
  for (const one of fields(node, 0, 32, node.tag)) {
    const [type, values] = fields(one, 2);
    const id = oid(type);
    const inner = fields(values, 0, 8, 0x31);
    found.set(id, found.has(id) || inner.length !== 1 ? SEVERAL : inner[0]);
  }
  return found;
}

function readSignedData(bytes) {
  try {
    return readContentInfo(bytes);
  } catch (error) {
    // Who writes BER of indefinite length ends with that of the whole.
    throw error instanceof Indefinite && bytes.subarray(-2).some((byte) => byte !== 0) ? malformed() : error;
  }
}

function readContentInfo(bytes) {
  const [type, wrapped] = fields(sole(bytes), 2);
  if (oid(type) !== "1.2.840.113549.1.7.2") throw malformed();
  const parts = members(sole(content(wrapped, 0xa0)));
  const next = (tag, most) => (parts[0]?.tag === tag ? fields(parts.shift(), 0, most, tag) : []);
  const [version, algorithms, encapsulated] = parts.splice(0, 3);
  integer(version, 1);
  content(algorithms, 0x31);
  const [contentType, inner] = fields(encapsulated, 1, 2);
  const [certificates, lists, infos] = [next(0xa0, 32), next(0xa1, 16), fields(parts.shift(), 0, 16, 0x31)];
  if (parts.length) throw malformed();
  return {
    version: version.content[0],
    type: oid(contentType),
    content: inner ? content(sole(content(inner, 0xa0)), 0x04) : null,
    certificates: readable(certificates.filter((one) => one.tag === 0x30)),
    lists: lists.filter((one) => one.tag === 0x30).map((one) => one.raw),
    signers: infos.map(readSigner),
  };
}

function readSigner(node) {
  const [version, sid, hash, signed, algorithm, signature, unsigned] = fields(node, 6, 7);
  integer(version, 1);
  if (signed.tag !== 0xa0 || ![0x30, 0x80].includes(sid.tag) || (unsigned && unsigned.tag !== 0xa1)) throw malformed();
  const covered = concat(Uint8Array.of(0x31), signed.raw.subarray(1));
  let named = null;
  if (sid.tag === 0x30) {
    const [issuer, serial] = fields(sid, 2);
    if (issuer.tag !== 0x30) throw malformed();
    named = { issuer: hex(issuer.raw), serial: hex(integer(serial)) };
  }
  return {
    named, algorithm, covered,
    keyIdentifier: sid.tag === 0x80 ? hex(sid.content) : null,
    hash: hashOf(hash),
    hashId: oid(members(hash)[0]),
    signature: content(signature, 0x04),
    attributes: readAttributes({ ...signed }),
    unsigned: unsigned ? readAttributes(unsigned) : new Map(),
  };
}
