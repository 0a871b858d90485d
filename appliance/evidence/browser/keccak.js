// Keccak-256 as Ethereum has it: with the padding of the Keccak submission, not that of FIPS 202. A lane of 64 bits is two
// numbers of 32, the lower half at 2n and the upper at 2n + 1.

const KECCAK_RATE = 136;

// The round constants, out of the shift register that makes them (FIPS 202, section 3.2.5).
const KECCAK_ROUNDS = (() => {
  const made = [];
  let register = 1;
  for (let round = 0; round < 24; round += 1) {
    const lane = [0, 0];
    for (let bit = 0; bit < 7; bit += 1) {
      const at = (1 << bit) - 1;
      if (register & 1) lane[at >> 5] |= 1 << (at & 31);
      register = (register << 1) ^ (register & 0x80 ? 0x171 : 0);
    }
    made.push(lane);
  }
  return made;
})();

// Where each lane goes and by how many bits it turns: rho and pi in one walk (FIPS 202, sections 3.2.2 and 3.2.3).
const KECCAK_WALK = (() => {
  const made = [];
  let [x, y] = [1, 0];
  for (let step = 1; step <= 24; step += 1) {
    [x, y] = [y, (2 * x + 3 * y) % 5];
    made.push([x + 5 * y, ((step * (step + 1)) / 2) % 64]);
  }
  return made;
})();

function keccakPermute(lanes) {
  const column = new Int32Array(10);
  const row = new Int32Array(10);
  for (const [low, high] of KECCAK_ROUNDS) {
    for (let at = 0; at < 10; at += 1) column[at] = lanes[at] ^ lanes[at + 10] ^ lanes[at + 20] ^ lanes[at + 30] ^ lanes[at + 40];
    for (let x = 0; x < 5; x += 1) {
      const [before, after] = [2 * ((x + 4) % 5), 2 * ((x + 1) % 5)];
      const turnedLow = column[before] ^ ((column[after] << 1) | (column[after + 1] >>> 31));
      const turnedHigh = column[before + 1] ^ ((column[after + 1] << 1) | (column[after] >>> 31));
      for (let at = 2 * x; at < 50; at += 10) {
        lanes[at] ^= turnedLow;
        lanes[at + 1] ^= turnedHigh;
      }
    }
    let [heldLow, heldHigh] = [lanes[2], lanes[3]];
    for (let step = 0; step < 24; step += 1) {
      const [to, turn] = KECCAK_WALK[step];
      const [one, other] = turn < 32 ? [heldLow, heldHigh] : [heldHigh, heldLow];
      const by = turn & 31;
      [heldLow, heldHigh] = [lanes[2 * to], lanes[2 * to + 1]];
      lanes[2 * to] = by ? (one << by) | (other >>> (32 - by)) : one;
      lanes[2 * to + 1] = by ? (other << by) | (one >>> (32 - by)) : other;
    }
    for (let start = 0; start < 50; start += 10) {
      for (let at = 0; at < 10; at += 1) row[at] = lanes[start + at];
      for (let at = 0; at < 10; at += 1) lanes[start + at] = row[at] ^ (~row[(at + 2) % 10] & row[(at + 4) % 10]);
    }
    lanes[0] ^= low;
    lanes[1] ^= high;
  }
}

// 32 bytes.
function keccak256(data) {
  const padded = new Uint8Array((Math.floor(data.length / KECCAK_RATE) + 1) * KECCAK_RATE);
  padded.set(data);
  padded[data.length] ^= 0x01;
  padded[padded.length - 1] ^= 0x80;
  const view = new DataView(padded.buffer);
  const lanes = new Int32Array(50);
  for (let block = 0; block < padded.length; block += KECCAK_RATE) {
    for (let at = 0; at < KECCAK_RATE / 4; at += 1) lanes[at] ^= view.getInt32(block + 4 * at, true);
    keccakPermute(lanes);
  }
  const digest = new DataView(new ArrayBuffer(32));
  for (let at = 0; at < 8; at += 1) digest.setInt32(4 * at, lanes[at], true);
  return new Uint8Array(digest.buffer);
}
