// Reads commands, one JSON object a line, and answers each with one line: what the page's own rules say.
const fs = require("node:fs");
globalThis.crypto ??= require("node:crypto").webcrypto;

const RULES = fs.readFileSync(process.argv[2], "utf8");
const NAMES = [
  "readTrust", "verifyEvidence", "inWords", "EVENT_MEMBERS", "readCanonical", "shown", "printAmount", "parseAmount", "DIGITS", "Broken", "AnchorRefused", "Unable",
  "judgeLedgerProof", "keccak256", "recoverAddress", "readRlp", "writeRlp", "proveInTrie", "scrypt", "salsa", "sm3", "fromHex", "hex",
];
const {
  readTrust, verifyEvidence, inWords, EVENT_MEMBERS, readCanonical, shown, printAmount, parseAmount, DIGITS, Broken, AnchorRefused, Unable,
  judgeLedgerProof, keccak256, recoverAddress, readRlp, writeRlp, proveInTrie, scrypt, salsa, sm3, fromHex, hex,
} = new Function(`${RULES}; return { ${NAMES.join(", ")} };`)();
const bytes = (said) => new Uint8Array(Buffer.from(said, "base64"));
const commands = {
  async verify({ trust, file, now }) {
    const files = trust && new Map(Object.entries(trust).map(([name, said]) => [name, bytes(said)]));
    const { indication, parts, letter } = await verifyEvidence(bytes(file), files && (await readTrust(files)), now);
    const checks = parts.flatMap((part) => part.findings.checks);
    const told = checks.filter((one) => one.outcome === "failed" || one.outcome === "undecided").map((one) => one.said);
    const facts = letter && {
      disclosed: letter.state.disclosed,
      letter: letter.about, state: letter.state.state, events: letter.events.length,
      balance: letter.state.currency && printAmount(letter.state.balance, letter.state.currency),
      signers: letter.events.map((one) => one.signer), existed: letter.events.at(-1).outside?.until ?? null,
      ledgers: letter.ledgers, indications: letter.events.map((one) => one.indication),
    };
    const witnesses = checks.filter((one) => one.name === "witnesses" && one.outcome !== "passed").map((one) => one.said.en);
    return { indication, told, facts, witnesses };
  },
  async trust({ trust }) {
    const { version, fingerprint } = await readTrust(new Map(Object.entries(trust).map(([name, said]) => [name, bytes(said)])));
    return { version, fingerprint };
  },
  // What a ledger's judge says of a proof: its judgement, or { reason } of a refusal.
  async ledger({ type, proof, commitment, rules }) {
    const begun = performance.now();
    try {
      const found = await judgeLedgerProof(type, proof, fromHex(commitment), rules, { now: 0, lists: [], answers: [] });
      return { ...found, place: found.place.en, notes: found.notes.map((one) => one.en), relies: found.reliesOn.map(({ name, bits }) => [name, bits ?? null]), spent: performance.now() - begun };
    } catch (error) {
      if (error instanceof Unable) return { reason: "unable", said: error.text.en };
      if (!(error instanceof AnchorRefused)) throw error;
      return { reason: error.reason, said: error.text.en, chinese: error.text.zh, spent: performance.now() - begun };
    }
  },
  keccak: ({ data }) => hex(keccak256(fromHex(data))),
  sm3: async ({ data }) => hex(await sm3(fromHex(data))),
  recover({ digest, r, s, parity }) {
    const found = recoverAddress(fromHex(digest), BigInt(r), BigInt(s), BigInt(parity));
    return found && hex(found);
  },
  // What an RLP item is, as nested lists of hexadecimal, and whether it is written back alike.
  rlp({ data }) {
    const item = readRlp(fromHex(data));
    const told = (one) => (Array.isArray(one) ? one.map(told) : hex(one));
    return { item: told(item), again: hex(writeRlp(item)) };
  },
  trie: ({ root, key, nodes }) => hex(proveInTrie(fromHex(root), fromHex(key), nodes.map(fromHex))),
  scrypt: async ({ password, salt, steps, size }) => hex(await scrypt(fromHex(password), fromHex(salt), steps, size)),
  // Salsa20/8 of 64 bytes, after which zeroes are added (RFC 7914, section 8).
  salsa({ data }) {
    const words = new Int32Array(fromHex(data).buffer);
    salsa(words, new Int32Array(16), new Int32Array(16));
    return hex(new Uint8Array(words.buffer));
  },
  words: ({ fingerprint, words }) => inWords(fingerprint, words),
  members: () => EVENT_MEMBERS,
  digits: () => [...DIGITS],
  canonical: ({ said }) => readCanonical(bytes(said)) !== undefined,
  shown: ({ said }) => shown(said),
  amount: ({ said, currency }) => parseAmount(said, currency).toString(),
};

(async () => {
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    let answer;
    try {
      answer = { answer: await commands[asked.command](asked) };
    } catch (error) {
      answer = { refused: error instanceof Broken ? error.text.en : `unexpected: ${error.stack}` };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
})();
