// What the document of a trust bundle must look like (appliance.evidence.bundle): its members, and no others.

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const LARGEST_BUNDLE = 1024 * 1024;
const MOST_WITNESSES = 32;
const ALGORITHMS = ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "sm3", "rsa", "ecdsa", "ed25519", "ml-dsa"];

// A time that there is: none that would be carried over into the next month.
const isInstant = (value) =>
  typeof value === "string" && INSTANT.test(value) && !Number.isNaN(Date.parse(value)) && new Date(value).toISOString() === value.replace("Z", ".000Z");
const isWords = isText(null, 400, 1);
const isSize = isNumber();
const isLedger = isRecord({ name: isText(LEDGER_NAME), rules: isObject, tolerance_s: isNumber(0, MOST_TOLERANCE), type: isText(LEDGER_TYPE) });
const isAuthority = isRecord(
  { certificate: isText(), role: isOne("tsa", "seal", "tls") },
  {
    party: isWords, time_class: isOne("box", "tsa", "witness", "ledger"), policies: isListOf(isText(/^[0-2](\.(0|[1-9][0-9]{0,38})){1,30}$/, 400)),
    compromised: isRecord({ since: isInstant, declared: isText(INSTANT) }),
  },
);
const isTrustDocument = isRecord(
  {
    format: isOne("cinnabar-trust/1"), constitution: isHex32, version: isNumber(1), previous: isEither(isNull, isHex32), rehearsal: isOne(true, false),
    issued: isInstant, expires: isInstant, signer: isText(), successors: isListOf(isBase64()), authorities: isListOf(isAuthority),
    revocation_lists: isListOf(isRecord({ file: isText(/^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/), sha256: isHex32 })),
    logs: isListOf(isRecord({ origin: isWords, key: isWords }, { first_size: isSize, last_size: isEither(isNull, isSize), succeeds: isWords })),
  },
  {
    witnesses: isListOf(isRecord({ key: isWords }, { revoked: isInstant })),
    time: isRecord({}, { accepted: isListOf(isOne("tsa", "witness", "ledger")), witnesses: isNumber(1, 100) }),
    cosigning: isListOf(
      isRecord({ origin: isWords, witnesses: isListOf(isWords), quorum: isNumber(0, MOST_WITNESSES) }, { last_size: isEither(isNull, isSize) }),
    ),
    ceremonies: isRecord({ genesis: isHex32 }),
    algorithms: isListOf(isRecord({ algorithm: isOne(...ALGORITHMS), until: isInstant }, { below_bits: isEither(isNull, isNumber(1, 65536)) })),
    ledgers: isListOf(isLedger),
  },
);

// The document, what may be left out filled in; null where it is none.
function readTrustDocument(encoded) {
  const found = encoded.length > LARGEST_BUNDLE ? null : readCanonical(encoded);
  if (!isTrustDocument(found)) return null;
  const { authorities, logs, time } = found;
  return {
    witnesses: [], algorithms: [], ledgers: [], ...found,
    authorities: authorities.map((one) => ({ party: "box", time_class: "box", policies: [], ...one })),
    logs: logs.map((one) => ({ first_size: 0, last_size: null, ...one })),
    time: { accepted: [], witnesses: 1, ...time },
  };
}
