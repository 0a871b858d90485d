// Algorithms that may be relied on up to a date, which the trust bundle says (EN 319 102-1: cryptographic constraints).
// What uses one that has ended counts where something else shows that it existed before.

const NAMES = { "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", SM3: "sm3" };
const BITS = { "P-256": 256, "P-384": 384, "P-521": 521 };

// What a signature relies on: the kind of key with its bits, and the digest.
function usesOf(spki, algorithm, hash = null) {
  const [kind, encoded] = fields(sole(spki), 2);
  const parts = fields(algorithm, 1, 2);
  const [name, fixed] = SIGNATURES[oid(parts[0])] ?? [];
  if (name === "ECDSA") {
    const curve = CURVES[oid(members(kind)[1])];
    return [{ name: "ecdsa", bits: curve ? BITS[curve[0]] : null }, { name: NAMES[fixed] }];
  }
  if (name === "Ed25519") return [{ name: "ed25519" }];
  if (!name) return [];
  const modulus = integer(members(sole(bits(encoded)))[0], 2048);
  const first = modulus[0] === 0 ? modulus.subarray(1) : modulus;
  const size = first.length * 8 - Math.clz32(first[0]) + 24;
  const used = name === "RSA-PSS" ? hashOf(sole(content(members(parts[1])[0], 0xa0))) : fixed ?? hash;
  return [{ name: "rsa", bits: size }, ...(used ? [{ name: NAMES[used] }] : [])];
}

// RFC 6962; records and their openings are bound by the same hash, heads signed and cosigned by the same kind of key.
const LOGS_LEAN_ON = [{ name: "sha256" }, { name: "ed25519" }];
// The same of a log whose tree is of some hash.
const usesOfLog = ({ name }) => (name === "sha256" ? LOGS_LEAN_ON : [...LOGS_LEAN_ON, { name }]);

function endOf(use, context) {
  const ends = (context.trust?.algorithms ?? []).filter(
    (one) => one.algorithm === use.name && (one.below === null || (Number.isInteger(use.bits) && use.bits < one.below)),
  );
  return ends.length ? Math.min(...ends.map((one) => one.until)) : null;
}

const hasEnded = (uses, relied, context) => uses.some((use) => endOf(use, context) !== null && relied > endOf(use, context));

// Enter what has ended by now. `relied`: when what uses it is shown to have existed; null: by nothing but now.
function checkStrength(findings, what, uses, relied, context) {
  const at = relied === null ? context.now : Math.min(relied, context.now);
  findings.reliedOn.push(...uses);
  for (const use of uses) {
    const until = endOf(use, context);
    if (until === null || context.now <= until) continue;
    const name = use.bits ? text(`${use.name} with ${use.bits} bits`, `${use.bits} 位的 ${use.name}`) : text(use.name, use.name);
    if (at <= until) {
      findings.passed(
        "algorithms", `${what.en}: ${name.en} may be relied on until ${spoken(until)}, and this is shown to have existed at ${spoken(at)}.`,
        `${what.zh}：${name.zh} 的可信截止时间为 ${spoken(until)}，而此项已证明存在于 ${spoken(at)}。`,
      );
    } else {
      findings.undecided(
        "algorithms", `${what.en}: ${name.en} may be relied on until ${spoken(until)}, and nothing shows that this existed before.`,
        `${what.zh}：${name.zh} 的可信截止时间为 ${spoken(until)}，而没有任何材料证明此项此前已存在。`,
      );
    }
  }
}
