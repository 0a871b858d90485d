// Reads commands, one JSON object a line, and answers each with one line: what the page's own rules say.
const fs = require("node:fs");
globalThis.crypto ??= require("node:crypto").webcrypto;

const RULES = fs.readFileSync(process.argv[2], "utf8");
const { readTrust, verifyEvidence, inWords, EVENT_MEMBERS, readCanonical, shown, printAmount, parseAmount, DIGITS, Broken } = new Function(
  `${RULES}; return { readTrust, verifyEvidence, inWords, EVENT_MEMBERS, readCanonical, shown, printAmount, parseAmount, DIGITS, Broken };`,
)();
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
      indications: letter.events.map((one) => one.indication),
    };
    return { indication, told, facts };
  },
  async trust({ trust }) {
    const { version, fingerprint } = await readTrust(new Map(Object.entries(trust).map(([name, said]) => [name, bytes(said)])));
    return { version, fingerprint };
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
