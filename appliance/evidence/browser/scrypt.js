// scrypt (RFC 7914) with r = 1 and p = 1. Litecoin takes N = 1024 and 32 bytes, the header being password and salt.

const LITECOIN_STEPS = 1024;
const SCRYPT_WORDS = 32;

async function pbkdf2(password, salt, size) {
  const key = await crypto.subtle.importKey("raw", password, "PBKDF2", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt, iterations: 1 }, key, 8 * size));
}

// The quarter rounds of a double round of Salsa20: columns, then rows.
const SALSA_ROUNDS = [
  [0, 4, 8, 12], [5, 9, 13, 1], [10, 14, 2, 6], [15, 3, 7, 11],
  [0, 1, 2, 3], [5, 6, 7, 4], [10, 11, 8, 9], [15, 12, 13, 14],
].flatMap(([a, b, c, d]) => [[b, a, d, 7], [c, b, a, 9], [d, c, b, 13], [a, d, c, 18]]);

// Salsa20/8 of `left` with `right` added by bits, back into `left` (RFC 7914, section 3); both have 16 words.
function salsa(left, right, mixed) {
  for (let at = 0; at < 16; at += 1) mixed[at] = left[at] ^= right[at];
  for (let twice = 0; twice < 4; twice += 1) {
    for (let step = 0; step < 32; step += 1) {
      const [to, one, other, turn] = SALSA_ROUNDS[step];
      const sum = (mixed[one] + mixed[other]) | 0;
      mixed[to] ^= (sum << turn) | (sum >>> (32 - turn));
    }
  }
  for (let at = 0; at < 16; at += 1) left[at] += mixed[at];
}

// Mix two blocks of words (sections 4 and 5). `steps`: N, a power of two.
function scryptMix(words, steps) {
  const mixed = new Int32Array(16);
  const [first, second] = [words.subarray(0, 16), words.subarray(16)];
  const block = () => {
    salsa(first, second, mixed);
    salsa(second, first, mixed);
  };
  const held = new Int32Array(steps * SCRYPT_WORDS);
  for (let step = 0; step < steps; step += 1) {
    held.set(words, step * SCRYPT_WORDS);
    block();
  }
  for (let step = 0; step < steps; step += 1) {
    const from = (second[0] & (steps - 1)) * SCRYPT_WORDS;
    for (let at = 0; at < SCRYPT_WORDS; at += 1) words[at] ^= held[from + at];
    block();
  }
}

async function scrypt(password, salt, steps = LITECOIN_STEPS, size = 32) {
  const view = new DataView((await pbkdf2(password, salt, 4 * SCRYPT_WORDS)).buffer);
  const words = Int32Array.from({ length: SCRYPT_WORDS }, (_, at) => view.getInt32(4 * at, true));
  scryptMix(words, steps);
  for (const [at, word] of words.entries()) view.setInt32(4 * at, word, true);
  return pbkdf2(password, new Uint8Array(view.buffer), size);
}
