// The container and its manifests, each in the one form that boxes write: taken apart, written again, and compared.

const ASIC_E = "application/vnd.etsi.asic-e+zip";
const TAIL = "((?:[0-9a-f]{32}-)?(?:[0-9]{4}|[1-9][0-9]{4,8}))";
const NAME = "([A-Za-z0-9][A-Za-z0-9._@-]{0,127})";
const ROLES = [
  ["event", new RegExp(`^event-${TAIL}\\.json$`)],
  ["beside", new RegExp(`^event-${TAIL}/${NAME}$`)],
  ["manifest", new RegExp(`^META-INF/ASiCManifest-(?:${TAIL}|(court))\\.xml$`)],
  ["seal", new RegExp(`^META-INF/signature-(?:${TAIL}|(court))\\.p7s$`)],
  ["evidence-record", new RegExp(`^META-INF/evidencerecord-${TAIL}\\.ers$`)],
  ["evidence-manifest", new RegExp(`^META-INF/ASiCEvidenceRecordManifest-${TAIL}\\.xml$`)],
  ["renewal", /^META-INF\/evidencerecord-(renewal-(?!0000)[0-9]{4})\.ers$/],
  ["renewal-manifest", /^META-INF\/ASiCEvidenceRecordManifest-(renewal-(?!0000)[0-9]{4})\.xml$/],
  ["opening", new RegExp(`^META-INF/opening-(?:${TAIL}|(court))\\.json$`)],
  ["proof", new RegExp(`^META-INF/proof-(?:${TAIL}|(court))\\.tlog-proof$`)],
  ["disclosures", new RegExp(`^META-INF/disclosures-${TAIL}\\.json$`)],
  ["court", new RegExp(`^court/${NAME}$`)],
  ["certificate", /^META-INF\/certificate-([0-9a-f]{64})\.cer$/],
  ["crl", /^META-INF\/list-([0-9a-f]{64})\.crl$/],
  ["ocsp", /^META-INF\/answer-([0-9a-f]{64})\.ors$/],
  ["kind", /^META-INF\/kind-([0-9a-f]{64})\.toml$/],
  ["anchor", /^META-INF\/anchor-([a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?-[1-9][0-9]{0,18})\.json$/],
  ["letter", /^META-INF\/letter\.json$/],
  ["page", /^META-INF\/for-people\.html$/],
];

const CRC = Uint32Array.from({ length: 256 }, (_, start) => {
  let value = start;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value >>> 0;
});
function crc32(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}

function packed(...numbers) {
  const made = [];
  for (const [size, number] of numbers) for (let at = 0; at < size; at += 1) made.push(Math.floor(number / 256 ** at) % 256);
  return Uint8Array.from(made);
}
const half = (...numbers) => numbers.map((number) => [2, number]);
const whole = (...numbers) => numbers.map((number) => [4, number]);

function writeContainer(entries) {
  const parts = [];
  const central = [];
  let at = 0;
  for (const [name, content] of entries) {
    const encoded = utf8(name);
    const facts = [...half(20, 0, 0, 0, 0x21), ...whole(crc32(content), content.length, content.length)];
    const local = packed(...whole(0x04034b50), ...facts, ...half(encoded.length, 0));
    parts.push(local, encoded, content);
    central.push(
      packed(...whole(0x02014b50), ...half(0x0314), ...facts, ...half(encoded.length, 0, 0, 0, 0), ...whole(0o100644 * 65536, at)),
      encoded,
    );
    at += local.length + encoded.length + content.length;
  }
  const length = central.reduce((sum, part) => sum + part.length, 0);
  const end = packed(...whole(0x06054b50), ...half(0, 0, entries.length, entries.length), ...whole(length, at), ...half(0));
  return concat(...parts, ...central, end);
}

function readContainer(data) {
  const refuse = () => {
    throw new Broken(
      "The container is not in the one form that boxes write: something was added, changed or cut off.",
      "容器不是设备所写的唯一形式：有内容被添加、更改或截断。",
    );
  };
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (data.length < 22 || view.getUint32(data.length - 22, true) !== 0x06054b50) refuse();
  const count = view.getUint16(data.length - 12, true);
  const entries = [];
  const seen = new Set();
  let at = 0;
  for (let number = 0; number < count; number += 1) {
    if (at + 30 > data.length || view.getUint32(at, true) !== 0x04034b50) refuse();
    const size = view.getUint32(at + 22, true);
    const begin = at + 30 + view.getUint16(at + 26, true);
    if (view.getUint16(at + 8, true) !== 0 || begin + size > data.length) refuse();
    const encoded = data.subarray(at + 30, begin);
    if (encoded.length === 0 || encoded.some((byte) => byte < 0x20 || byte > 0x7e)) refuse();
    const name = fromUtf8(encoded);
    if (seen.has(name.toLowerCase())) refuse();
    seen.add(name.toLowerCase());
    entries.push([name, data.subarray(begin, begin + size)]);
    at = begin + size;
  }
  if (entries.length === 0 || entries[0][0] !== "mimetype" || fromUtf8(entries[0][1]) !== ASIC_E) refuse();
  if (!equal(writeContainer(entries), data)) refuse();
  return new Map(entries.slice(1));
}

// Entries that are named by their own SHA-256: their issuers vouch for them, for a kind's file the events that name it.
const HELPERS = new Set(["certificate", "crl", "ocsp", "kind"]);
const MOST_KINDS = 4;
const KIND_BYTES = 256 * 1024;

function readName(name) {
  for (const [role, pattern] of ROLES) {
    const found = pattern.exec(name);
    if (!found) continue;
    if (role === "court") return { role, tail: "court", name: found[1] };
    if (HELPERS.has(role) || role === "anchor") return { role, tail: "", name: found[1] };
    return { role, tail: found[1] ?? found[2] ?? "", name: found[2] ?? "" };
  }
  return null;
}

const namesOf = (tail) => ({
  event: `event-${tail}.json`,
  manifest: `META-INF/ASiCManifest-${tail}.xml`,
  seal: `META-INF/signature-${tail}.p7s`,
  evidenceRecord: `META-INF/evidencerecord-${tail}.ers`,
  evidenceManifest: `META-INF/ASiCEvidenceRecordManifest-${tail}.xml`,
  opening: `META-INF/opening-${tail}.json`,
  proof: `META-INF/proof-${tail}.tlog-proof`,
});

const XML_BEGIN =
  '<?xml version="1.0" encoding="UTF-8"?>\n<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" ' +
  'xmlns:ds="http://www.w3.org/2000/09/xmldsig#">';
const XML_REFERENCE =
  /^<asic:DataObjectReference URI="((?:[A-Za-z0-9._~/-]|%40)*)" MimeType="([A-Za-z0-9.+/;= -]*)"><ds:DigestMethod Algorithm="http:\/\/www\.w3\.org\/2001\/04\/xmlenc#sha256"\/><ds:DigestValue>([A-Za-z0-9+/]{43}=)<\/ds:DigestValue><\/asic:DataObjectReference>/;

function readManifest(bytes, tail) {
  const refuse = () => {
    throw new Broken("A manifest is not in the one spelling that boxes write.", "清单不是设备所写的唯一形式。");
  };
  const said = fromUtf8(bytes);
  const begin = `${XML_BEGIN}<asic:SigReference URI="${namesOf(tail).seal}" MimeType="application/pkcs7-signature"/>`;
  if (!said.startsWith(begin)) refuse();
  let rest = said.slice(begin.length);
  const references = new Map();
  for (let found = XML_REFERENCE.exec(rest); found; found = XML_REFERENCE.exec(rest)) {
    const name = found[1].replaceAll("%40", "@");
    if (references.has(name)) refuse();
    references.set(name, hex(fromBase64(found[3])));
    rest = rest.slice(found[0].length);
  }
  if (rest !== "</asic:ASiCManifest>\n") refuse();
  return references;
}

// What the manifest of an evidence record says: that it is over the seal.
function evidenceManifest(tail, sealDigest) {
  const names = namesOf(tail);
  return (
    `${XML_BEGIN}<asic:SigReference URI="${names.evidenceRecord}"/>` +
    `<asic:DataObjectReference URI="${names.seal}" MimeType="application/pkcs7-signature">` +
    '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>' +
    `<ds:DigestValue>${toBase64(sealDigest)}</ds:DigestValue></asic:DataObjectReference></asic:ASiCManifest>\n`
  );
}
