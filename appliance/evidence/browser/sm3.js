// SM3 (GB/T 32905-2016), which WebCrypto lacks: Merkle-Damgård over blocks of 64 bytes, eight registers of 32 bits.

const SM3_BLOCK = 64;
const SM3_AT_ONCE = 1024 * 1024;
const SM3_BEGIN = [0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e];

const turned = (word, by) => (word << by) | (word >>> (32 - by));

// The constant of each round, turned as far as the round takes it.
const SM3_ROUNDS = Int32Array.from({ length: 64 }, (_, round) => turned(round < 16 ? 0x79cc4519 : 0x7a879d8a, round % 32));

// One block into the registers. `words`: room for 68 numbers, the block being the first 16.
function sm3Compress(registers, words) {
  for (let at = 16; at < 68; at += 1) {
    const mixed = words[at - 16] ^ words[at - 9] ^ turned(words[at - 3], 15);
    words[at] = mixed ^ turned(mixed, 15) ^ turned(mixed, 23) ^ turned(words[at - 13], 7) ^ words[at - 6];
  }
  let [a, b, c, d, e, f, g, h] = registers;
  for (let round = 0; round < 64; round += 1) {
    const upper = turned(a, 12);
    const first = turned((upper + e + SM3_ROUNDS[round]) | 0, 7);
    const early = round < 16;
    const left = ((early ? a ^ b ^ c : (a & b) | (a & c) | (b & c)) + d + (first ^ upper) + (words[round] ^ words[round + 4])) | 0;
    const right = ((early ? e ^ f ^ g : (e & f) | (~e & g)) + h + first + words[round]) | 0;
    [d, c, b, a] = [c, turned(b, 9), a, left];
    [h, g, f, e] = [g, turned(f, 19), e, right ^ turned(right, 9) ^ turned(right, 17)];
  }
  for (const [at, one] of [a, b, c, d, e, f, g, h].entries()) registers[at] ^= one;
}

function sm3Absorb(registers, words, data, from, until) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let block = from; block < until; block += SM3_BLOCK) {
    for (let at = 0; at < 16; at += 1) words[at] = view.getInt32(block + 4 * at);
    sm3Compress(registers, words);
  }
}

// 32 bytes. The page has turns while much is hashed.
async function sm3(data) {
  const registers = Int32Array.from(SM3_BEGIN);
  const words = new Int32Array(68);
  const whole = data.length - (data.length % SM3_BLOCK);
  for (let from = 0; from < whole; from += SM3_AT_ONCE) {
    sm3Absorb(registers, words, data, from, Math.min(whole, from + SM3_AT_ONCE));
    await rest();
  }
  const left = data.length - whole;
  const last = new Uint8Array(left + 9 > SM3_BLOCK ? 2 * SM3_BLOCK : SM3_BLOCK);
  last.set(data.subarray(whole));
  last[left] = 0x80;
  new DataView(last.buffer).setBigUint64(last.length - 8, BigInt(data.length) * 8n);
  sm3Absorb(registers, words, last, 0, last.length);
  const made = new DataView(new ArrayBuffer(32));
  for (const [at, one] of registers.entries()) made.setInt32(4 * at, one);
  return new Uint8Array(made.buffer);
}
