// The trust bundle: the only source of whom to believe, and never from inside the checked file (docs/trust.md).

async function readTrust(files) {
  const refuse = (en, zh) => {
    throw new Broken(en, zh);
  };
  const encoded = files.get("bundle.json");
  const signature = files.get("bundle.json.sig");
  if (!encoded || !signature) refuse("bundle.json and bundle.json.sig are both needed", "需要 bundle.json 和 bundle.json.sig 两个文件");
  const document = readTrustDocument(encoded);
  if (document === null) refuse("not a trust bundle of the format cinnabar-trust/1", "不是 cinnabar-trust/1 格式的信任包");
  if (document.expires <= document.issued) refuse("the trust bundle expires before it was issued", "信任包在签发之前即已到期");
  const signer = fromBase64(document.signer);
  if (!(await signedBy(signer, signature, encoded))) refuse("the trust bundle's signature is not by the key that it names", "信任包的签名不是由其所列密钥作出");
  const fingerprint = await sha256Hex(signer);
  if ((document.version === 1) !== (document.previous === null) || (document.version === 1 && document.constitution !== fingerprint)) {
    refuse("the trust bundle's line does not begin as it must", "信任包的系列起始不正确");
  }
  const lists = [];
  for (const entry of document.revocation_lists) {
    const found = files.get(entry.file);
    if (!found) refuse(`the revocation list ${shown(entry.file)} is not among the files`, `吊销列表 ${shown(entry.file)} 不在所选文件中`);
    if ((await sha256Hex(found)) !== entry.sha256) refuse(`${shown(entry.file)} is not the list that the bundle names`, `${shown(entry.file)} 不是信任包所列的吊销列表`);
    // The bundle names it by its digest, so it counts whatever it was signed with.
    lists.push({ ...readList(found), shown: 0 });
  }
  const authorities = document.authorities.map((one) => ({
    certificate: readCertificate(fromBase64(one.certificate)),
    role: one.role,
    party: one.party,
    timeClass: one.time_class,
    policies: one.policies,
    compromised: one.compromised === undefined ? null : Date.parse(one.compromised.since),
  }));
  const names = document.logs.map((one) => one.origin);
  for (const one of authorities) {
    if (!one.certificate.ca) refuse("an authority in the trust bundle is none", "信任包中的机构不是证书机构");
    if ((one.party === "box") !== (one.timeClass === "box")) refuse("an authority's time class does not fit its party", "机构的时间类别与其所属方不符");
    if (one.party === "box") names.push(one.certificate.name);
  }
  if (names.some((name) => name.toLowerCase().includes("rehearsal") !== document.rehearsal)) {
    refuse("rehearsal and production never stand in one bundle", "演练与生产不得出现在同一信任包中");
  }
  const logs = [];
  for (const one of document.logs) {
    logs.push({ origin: one.origin, verifier: await readVerifierKey(one.key), first: one.first_size, last: one.last_size });
  }
  const witnesses = [];
  for (const one of document.witnesses) {
    witnesses.push({ ...(await readVerifierKey(one.key)), revoked: one.revoked === undefined ? null : Date.parse(one.revoked) });
  }
  if (new Set(witnesses.map((one) => hex(one.key))).size !== witnesses.length) {
    refuse("a witness's key stands twice in the trust bundle", "信任包中有见证方密钥重复");
  }
  if (witnesses.some((one) => logs.some((log) => equal(log.verifier.key, one.key)))) {
    refuse("a witness in the trust bundle has the key of a log", "信任包中的见证方使用了日志的密钥");
  }
  const own = authorities.filter((one) => one.party === "box").map((one) => one.certificate.spki);
  for (const { rules } of document.ledgers.filter((one) => one.type === "rfc3161")) {
    for (const one of Array.isArray(rules.authorities) ? rules.authorities : []) {
      let listed = null;
      readQuietly(() => (listed = readCertificate(fromBase64(one.certificate)).spki));
      if (listed && own.some((spki) => equal(spki, listed))) refuse("a ledger in the trust bundle has an authority of the box's own", "信任包中的账本使用了设备自身的机构");
    }
  }
  if (logs.some((one) => one.verifier.type !== 1) || witnesses.some((one) => one.type !== 4)) refuse("a key in the trust bundle is of another kind", "信任包中的密钥类型不符");
  return {
    fingerprint, lists, authorities, logs, witnesses,
    cosigning: readPolicies(document, witnesses, refuse),
    succeeds: readSuccessions(document.logs, logs, refuse),
    constitution: document.constitution,
    version: document.version,
    rehearsal: document.rehearsal,
    issued: Date.parse(document.issued),
    expires: Date.parse(document.expires),
    accepted: document.time.accepted.filter((one) => one !== "box"),
    witnessesNeeded: document.time.witnesses,
    algorithms: document.algorithms.map((one) => ({ algorithm: one.algorithm, below: one.below_bits ?? null, until: Date.parse(one.until) })),
    ledgers: readLedgers(document.ledgers, refuse),
  };
}

// Which log goes on from which, by the origin of the one that does: from one that has ended, under another hash; no two from one,
// and none from itself.
function readSuccessions(entries, logs, refuse) {
  const cannot = () => refuse("a log in the trust bundle cannot succeed another as it says", "信任包中日志的承接关系不成立");
  const found = new Map();
  for (const { origin, succeeds } of entries.filter((one) => one.succeeds !== undefined)) {
    if ((found.get(origin) ?? succeeds) !== succeeds) cannot();
    found.set(origin, succeeds);
  }
  for (const [origin, before] of found) {
    const keys = logs.filter((one) => one.origin === before);
    if (!keys.length || keys.some((one) => one.last === null) || treeHash(origin) === treeHash(before)) cannot();
    const line = new Set([origin]);
    for (let one = before; one !== undefined; one = found.get(one)) {
      if (line.has(one)) cannot();
      line.add(one);
    }
  }
  if (new Set(found.values()).size !== found.size) cannot();
  return found;
}

// What is trusted of ledgers, by name. Their rules are looked at when a receipt is judged.
function readLedgers(entries, refuse) {
  const found = new Map(entries.map((one) => [one.name, one]));
  if (found.size !== entries.length) refuse("a ledger stands twice in the trust bundle", "信任包中有账本重复");
  return found;
}

// By log, which witnesses must have cosigned its heads up to which sizes, the newest last; null: the bundle has no policies.
function readPolicies(document, witnesses, refuse) {
  if (document.cosigning === undefined) return null;
  const found = new Map();
  for (const { origin, witnesses: names, quorum, last_size: last = null } of document.cosigning) {
    const before = found.get(origin) ?? [];
    const known = names.every((name) => witnesses.some((one) => one.name === name)) && document.logs.some((one) => one.origin === origin);
    const possible = new Set(names).size === names.length && quorum >= Math.min(names.length, 1) && quorum <= names.length;
    const rising = before.length === 0 || (before.at(-1).last !== null && (last === null || last > before.at(-1).last));
    if (!known || !possible || !rising) refuse("a policy on witnesses in the trust bundle cannot be", "信任包中的见证策略不成立");
    found.set(origin, [...before, { names, quorum, last }]);
  }
  if ([...found.values()].some((rules) => rules.at(-1).last !== null)) refuse("a log that has policies has one in force", "有策略的日志须有一项有效策略");
  return found;
}

async function signedBy(spki, signature, message) {
  const key = members(members(sole(spki))[0]);
  const curve = oid(key[0]) === "1.2.840.10045.2.1" ? CURVES[oid(key[1])] : null;
  if (curve) {
    const imported = await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: curve[0] }, false, ["verify"]);
    const hash = curve[0] === "P-384" ? "SHA-384" : "SHA-256";
    return crypto.subtle.verify({ name: "ECDSA", hash }, imported, rawEcdsa(signature, curve[1]), message);
  }
  if (oid(key[0]) !== "1.3.101.112") return false;
  return checkEd25519(bits(members(sole(spki))[1]), signature, message);
}

// The 24 words of a SHA-256 (BIP-39): eleven bits a word, the last eight of them a check.
async function inWords(fingerprint, words) {
  const bytes = fromHex(fingerprint);
  const all = concat(bytes, (await sha256(bytes)).subarray(0, 1));
  const line = Array.from(all, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return line.match(/.{11}/g).map((index) => words[parseInt(index, 2)]).join(" ");
}
