// A time-stamp of another authority as an anchor, judged as appliance.anchors.rfc3161.judge does: with the checks of every
// time-stamp, the authorities of the profile, and the revocation lists and OCSP answers of the receipt.

const isPolicy = isText(/^[0-2](?:\.(?:0|[1-9][0-9]*))+$/, 200);
const isStampRules = isRecord({
  authorities: isListOf(isRecord({ certificate: isText(), policies: isListOf(isPolicy, 64, 1) }), 32, 1),
});
const isStampProof = isRecord(
  { certificates: isListOf(isBase64(1), 32), revocation_lists: isListOf(isBase64(1), 32), token: isBase64(1) }, { ocsp_answers: isListOf(isBase64(1), 32, 1) },
);
const SHA256_ID = "2.16.840.1.101.3.4.2.1";
// Digests that the program knows and this page does not: a token over one is over something else than the commitment.
const OTHER_DIGESTS = ["2.16.840.1.101.3.4.2.8", "2.16.840.1.101.3.4.2.9", "2.16.840.1.101.3.4.2.10", "1.2.156.10197.1.401"];
const STAMP_REASONS = {
  NO_CERTIFICATE_CHAIN_FOUND: "stamp_foreign_authority", TRY_LATER: "stamp_revocation_unknown", content: "stamp_altered", signature: "stamp_altered",
  "certificate validity": "stamp_out_of_validity", policy: "stamp_policy", revocation: "stamp_revoked",
};

async function judgeStampAnchor(said, commitment, rules, known) {
  const proof = readLedgerProof(said, isStampProof);
  const readAs = (reason, en, zh, read) => {
    try {
      return read();
    } catch (error) {
      if (error instanceof Unable || error instanceof AnchorRefused) throw error;
      return refuseAnchor(reason, `${en}: ${saidBy(error).en}`, `${zh}：${saidBy(error).zh}`);
    }
  };
  const { token, info } = readAs("malformed", "the time-stamp", "时间戳", () => readStampToken(fromBase64(proof.token)));
  if (info === null || info.hash !== "SHA-256" || !equal(info.imprint, commitment)) {
    refuseAnchor("other_commitment", "the time-stamp is over something else than the checkpoint's text", "时间戳所涵盖的不是该日志头的文本");
  }
  const lists = readAs("malformed", "a revocation list in the receipt", "回执中的吊销列表", () => proof.revocation_lists.map((one) => readList(fromBase64(one))));
  const answers = readAs("malformed", "an OCSP answer in the receipt", "回执中的 OCSP 应答", () => (proof.ocsp_answers ?? []).map((one) => readAnswer(fromBase64(one))));
  const authorities = readAs("rules_unreadable", "an authority of the profile", "配置中的机构", () => rules.authorities.map(readStampAuthority));
  const certificates = readAs("malformed", "a certificate in the receipt", "回执中的证书", () => proof.certificates.map((one) => readCertificate(fromBase64(one))));
  // Profile and receipt stand by themselves: what is in the receipt had come out when it was made.
  // What is known beside them tells what was revoked since.
  const now = Math.max(known.now, info.at + info.accuracy, ...[...lists, ...answers].map((one) => one.from));
  const context = { trust: { authorities, algorithms: [] }, now, certificates, lists: [...lists, ...known.lists], answers: [...answers, ...known.answers] };
  const findings = new Findings();
  const over = text("the head", "该日志头");
  let stamp;
  try {
    stamp = await checkStamp(findings, STAMP, token, async (hash) => (hash === "SHA-256" ? commitment : new Uint8Array()), context, { over });
  } catch (error) {
    if (error instanceof Unable) throw error;
    refuseAnchor("malformed", `the time-stamp: ${saidBy(error).en}`, `时间戳：${saidBy(error).zh}`);
  }
  if (findings.indication !== "TOTAL-PASSED") {
    const wrong = findings.checks.find((one) => one.outcome === "failed") ?? findings.checks.find((one) => one.outcome === "undecided");
    refuseAnchor(STAMP_REASONS[wrong.cause ?? wrong.name] ?? "stamp_constraints", wrong.said.en, wrong.said.zh);
  }
  const serial = hex(info.serial).replace(/^0+/, "");
  return {
    strength: "proven", by: "time_stamp", time: info.at, latest: info.at + info.accuracy,
    place: text(`time-stamp ${serial} of “${stamp.by}”`, `“${stamp.by}”的时间戳 ${serial}`),
    reliesOn: [{ name: "sha256" }, ...findings.reliedOn],
    notes: info.stated ? [] : [text("The time-stamp states no accuracy.", "时间戳未声明精度。")],
  };
}

// A token, or the token of an answer that grants one (RFC 3161, section 2.4.2), with what it states; null where that is over
// a digest that is not looked at here.
function readStampToken(encoded) {
  let token = encoded;
  const [first, granted] = fields(sole(encoded), 1, 2);
  if (first.tag === 0x30) {
    const status = smallInteger(members(first)[0], 2);
    if (![0, 1].includes(status) || !granted) {
      refuseAnchor("stamp_authority_refused", `The time-stamping authority refused (status ${status}): the response holds no token.`, `时间戳机构拒绝了请求（状态 ${status}）：应答中没有时间戳。`);
    }
    token = granted.raw;
  }
  const { type, content: stated, signers } = readSignedData(token);
  if (type !== TST_INFO || !stated || signers.length !== 1) throw malformed();
  const [algorithm, parameters] = fields(members(members(sole(stated))[2])[0], 1, 2);
  const [id, plain] = [oid(algorithm), !parameters || equal(parameters.raw, Uint8Array.of(0x05, 0))];
  if (plain && OTHER_DIGESTS.includes(id)) return { token, info: null };
  if (!plain || HASHES[id] === undefined) refuseAnchor("stamp_constraints", "the time-stamp is over a digest that is weak or unknown", "时间戳所涵盖的摘要算法薄弱或未知");
  return { token, info: readInfo(stated) };
}

function readStampAuthority({ certificate: encoded, policies }) {
  const certificate = readCertificate(fromBase64(encoded));
  if (!certificate.ca) throw new Broken(`“${certificate.name}” is no certificate authority`, `“${certificate.name}”不是证书机构`);
  return { certificate, policies, role: "tsa", party: "another", timeClass: "ledger", compromised: null };
}
