// Records over an evidence file as it was (RFC 4998, EN 319 162-1), the newest first: what is older in the file is judged
// at the time that they show.

const MOST_RENEWALS = 64;
const MOST_TIME_STAMPS = 256;
const MOST_LISTS = 64;
const MOST_HASHES = 4096;
const LARGEST_RECORD = 4 * 1024 * 1024;
const METHODS = {
  "http://www.w3.org/2001/04/xmlenc#sha256": "SHA-256",
  "http://www.w3.org/2001/04/xmldsig-more#sha384": "SHA-384",
  "http://www.w3.org/2001/04/xmlenc#sha512": "SHA-512",
  "http://www.w3.org/2007/05/xmldsig-more#sha3-256": null,
  "http://www.w3.org/2007/05/xmldsig-more#sha3-384": null,
  "http://www.w3.org/2007/05/xmldsig-more#sha3-512": null,
  "urn:oid:1.2.156.10197.1.401": "SM3",
};
const MEDIA_TYPES = {
  json: "application/json", xml: "text/xml", html: "text/html", pdf: "application/pdf", p7s: "application/pkcs7-signature",
  cer: "application/pkix-cert", crl: "application/pkix-crl", ors: "application/ocsp-response", toml: "application/toml",
};
const RENEWED_REFERENCE =
  /^<asic:DataObjectReference URI="([^"<>&]*)" MimeType="([^"<>&]*)"><ds:DigestMethod Algorithm="([^"<>&]*)"\/><ds:DigestValue>([A-Za-z0-9+/=]{44,88})<\/ds:DigestValue><\/asic:DataObjectReference>/;

const renewalNames = (number) => {
  const tail = `renewal-${String(number).padStart(4, "0")}`;
  return { record: `META-INF/evidencerecord-${tail}.ers`, manifest: `META-INF/ASiCEvidenceRecordManifest-${tail}.xml` };
};

function readRenewalManifest(bytes, names, order) {
  const refuse = () => {
    throw new Broken(`${names.manifest} is not in the one spelling that is written for renewals`, `${names.manifest} 不是续期清单的唯一形式`);
  };
  const said = fromUtf8(bytes);
  const begin = `${XML_BEGIN}<asic:SigReference URI="${names.record}"/>`;
  if (!said.startsWith(begin)) refuse();
  let rest = said.slice(begin.length);
  const references = new Map();
  let method = null;
  let last = -1;
  for (let found = RENEWED_REFERENCE.exec(rest); found; found = RENEWED_REFERENCE.exec(rest)) {
    const name = found[1].replaceAll("%40", "@");
    const place = order.get(name) ?? -1;
    const type = MEDIA_TYPES[name.split(".").pop()] ?? "application/octet-stream";
    if (place <= last || found[1] !== name.replaceAll("@", "%40") || found[2] !== type || (method ?? found[3]) !== found[3]) refuse();
    if (name === names.record || name === names.manifest) refuse();
    last = place;
    method = found[3];
    references.set(name, fromBase64(found[4]));
    rest = rest.slice(found[0].length);
  }
  if (rest !== "</asic:ASiCManifest>\n" || method === null || !(method in METHODS)) refuse();
  return { references, hash: METHODS[method] };
}

// The records in a container, taken apart; what is wrong with their form refutes the file.
function readRenewals(entries, places) {
  const order = new Map([...entries.keys()].map((name, place) => [name, place]));
  const tails = new Set([...places.values()].filter((one) => one.role === "renewal" || one.role === "renewal-manifest").map((one) => one.tail));
  const found = [];
  let stamps = 0;
  if (tails.size > MOST_RENEWALS) throw new Broken("the file was renewed more often than one may be", "文件的续期次数超过允许的次数");
  for (let number = 1; number <= tails.size; number += 1) {
    const names = renewalNames(number);
    if (!entries.has(names.record) || !entries.has(names.manifest)) throw new Broken(`renewal ${number} of the file is not whole`, `文件的第 ${number} 次续期不完整`);
    const manifest = readRenewalManifest(entries.get(names.manifest), names, order);
    const record = readEvidenceRecord(entries.get(names.record));
    stamps += record.chains.flat().length;
    if (stamps > MOST_TIME_STAMPS) throw new Broken("the file was renewed more often than one may be", "文件的续期次数超过允许的次数");
    found.push({ number, names, ...manifest, record });
  }
  return found;
}

// An evidence record with its chains; what the tokens are over is read later, for this page may lack their digests.
function readEvidenceRecord(encoded) {
  if (encoded.length > LARGEST_RECORD) throw malformed();
  const [version, algorithms, ...more] = members(sole(encoded));
  if (more[0]?.tag === 0xa0) more.shift();
  const [sequence, ...others] = more;
  if (smallInteger(version) !== 1 || others.length) throw malformed();
  const listed = fields(algorithms, 0, MOST_LISTS).map(digestId);
  const raw = members(sequence);
  const chains = raw.map((chain) => fields(chain, 1, MOST_TIME_STAMPS).map((stamp) => readArchiveTimeStamp(stamp, listed)));
  if (!chains.length) throw malformed();
  return { chains, raw: raw.map((one) => one.raw) };
}

function readArchiveTimeStamp(node, listed) {
  const parts = members(node);
  const next = (tag) => (parts[0]?.tag === tag ? parts.shift() : null);
  const [stated, , tree, token] = [0xa0, 0xa1, 0xa2, 0x30].map(next);
  if (!token || parts.length) throw malformed();
  const id = imprintId(token.raw);
  if (!listed.includes(id) || (stated && digestId({ ...stated, tag: 0x30 }) !== id)) throw malformed();
  const lists = tree ? fields(tree, 1, MOST_LISTS, 0xa2).map((list) => fields(list, 1, MOST_HASHES).map((one) => content(one, 0x04))) : [];
  return { hash: HASHES[id] ?? null, lists, token: token.raw };
}

// Follow a record from its data objects through all renewals. `digestsOf`: of each object, by a digest. Gives what each
// token must be over, or null where it is of something else.
async function followRecord(record, digestsOf) {
  const roots = [];
  let previous = -Infinity;
  for (const [number, chain] of record.chains.entries()) {
    const { hash } = chain[0];
    if (chain.some((one) => one.hash === null)) throw unable();
    let covered = await digestsOf(hash);
    if (number) {
      const before = concat(...record.raw.slice(0, number));
      const older = await digest(hash, concat(lengthOf(0x30, before.length), before));
      covered = await Promise.all(covered.map((one) => digest(hash, concat(one, older))));
    }
    for (const stamp of chain) {
      const root = stamp.hash === hash ? await rootOfLists(stamp, covered) : null;
      const info = readInfo(readSignedData(stamp.token).content);
      if (root === null || !equal(root, info.imprint) || info.at < previous) return null;
      previous = info.at;
      roots.push({ token: stamp.token, hash, root });
      covered = [await digest(hash, stamp.token)];
    }
  }
  return roots;
}

function lengthOf(tag, length) {
  if (length < 0x80) return Uint8Array.of(tag, length);
  const bytes = [];
  for (let left = length; left; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return Uint8Array.of(tag, 0x80 | bytes.length, ...bytes);
}

async function rootOfLists(stamp, covered) {
  if (!stamp.lists.length) return new Set(covered.map(hex)).size === 1 ? covered[0] : null;
  const first = new Set(stamp.lists[0].map(hex));
  if (!covered.every((one) => first.has(hex(one)))) return null;
  let root = null;
  for (const list of stamp.lists) {
    const group = (root ? [root, ...list] : [...list]).sort(before);
    if (group.some((one) => one.length !== covered[0].length)) throw malformed();
    root = group.length === 1 ? group[0] : await digest(stamp.hash, concat(...group));
  }
  return root;
}

const earlier = (left, right) => (left && (!right || left.until <= right.until) ? left : right);

// By when all of these entries are shown: { trusted, outside }, each null where they are not.
function shownBy(archived, names) {
  const last = (kind) => {
    const times = names.map((name) => archived.get(name)?.[kind] ?? null);
    return times.length && times.every(Boolean) ? times.reduce((left, right) => (right.until > left.until ? right : left)) : null;
  };
  return { trusted: last("trusted"), outside: last("outside") };
}

// Judge the renewals, the newest first. Gives what they show of entries, by name.
async function judgeRenewals(parts, layout, context) {
  const archived = new Map();
  const made = [];
  const digests = new Map();
  const digestOf = async (name, hash) => {
    const key = `${hash} ${name}`;
    if (!digests.has(key)) digests.set(key, await digest(hash, layout.entries.get(name)));
    return digests.get(key);
  };
  for (const one of [...layout.renewals].reverse()) {
    const findings = new Findings();
    made.unshift({ title: text(`renewal ${one.number} of the file`, `文件的第 ${one.number} 次续期`), findings });
    const named = [...one.references.keys()];
    try {
      if (one.hash === null) throw unable();
      const same = [];
      for (const name of named) same.push(equal(await digestOf(name, one.hash), one.references.get(name)));
      if (same.includes(false)) {
        findings.failed("manifest", "An entry was changed after it was renewed.", "某一条目在续期之后被更改。");
        continue;
      }
      const roots = await followRecord(one.record, (hash) => Promise.all(named.map((name) => digestOf(name, hash))));
      if (roots === null) {
        findings.failed("hash tree", "The evidence record is not over the entries that its manifest names.", "证据记录所涵盖的不是其清单所列的条目。");
        continue;
      }
      findings.passed("hash tree", `${named.length} entries of the file are, byte for byte, in the tree that was stamped.`, `文件的 ${named.length} 个条目逐字节包含在已加盖时间戳的哈希树中。`);
      const later = shownBy(archived, [one.names.record, ...named]).trusted;
      checkStrength(findings, text("The digests of the renewal", "续期的摘要"), [{ name: NAMES[roots[roots.length - 1].hash] }], later?.until ?? null, context);
      const times = await checkTokens(findings, one, roots, shownBy(archived, [one.names.record]), context);
      if (findings.indication !== "TOTAL-PASSED") continue;
      for (const name of named) {
        const known = archived.get(name) ?? { trusted: null, outside: null };
        archived.set(name, { trusted: earlier(times.trusted, known.trusted), outside: earlier(times.outside, known.outside) });
      }
    } catch (error) {
      findings.add(error instanceof Unable ? "undecided" : "failed", "format", text(`${saidBy(error).en}.`, `${saidBy(error).zh}。`));
    }
  }
  parts.push(...made);
  return archived;
}

// The tokens of one record, the newest first: each must have stood when the next one was made, and the hash of each chain
// when the next chain began.
async function checkTokens(findings, one, roots, known, context) {
  let { trusted: shown, outside: proven } = known;
  let times = { trusted: null, outside: null };
  const ends = new Set(one.record.chains.map((_, number) => one.record.chains.slice(0, number + 1).flat().length - 1));
  for (let place = roots.length - 1; place >= 0; place -= 1) {
    const { token, hash, root } = roots[place];
    const who = text(`Time-stamp ${place + 1} of ${roots.length}`, `第 ${place + 1} 个时间戳，共 ${roots.length} 个`);
    if (ends.has(place)) checkStrength(findings, text("The evidence record's hash tree", "证据记录的哈希树"), [{ name: NAMES[hash] }], shown?.until ?? null, context);
    const found = new Findings();
    const over = text("the tree of the renewal", "续期的哈希树");
    const stamp = await checkStamp(found, who, token, async (named) => (named === hash ? root : new Uint8Array()), context, {
      over, proven: proven?.until ?? null, shown: shown?.until ?? null,
    });
    findings.checks.push(...found.checks);
    if (found.indication !== "TOTAL-PASSED") continue;
    shown = earlier(stamp, shown);
    if (stamp.party !== "box") proven = earlier(stamp, proven);
    times = {
      trusted: earlier(stamp, times.trusted),
      outside: context.trust.accepted.includes(stamp.timeClass) ? earlier(stamp, times.outside) : times.outside,
    };
  }
  return times;
}
