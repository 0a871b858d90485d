// secp256k1 as chains use it: whose key made a signature, out of the signature itself (SEC 1, section 4.1.6). Everything here
// is public, so nothing needs to take equal time. A point is Jacobian coordinates { x, y, z }; null is the point at infinity.

const FIELD = 2n ** 256n - 2n ** 32n - 977n;
const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const GENERATOR = {
  x: 0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  y: 0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
  z: 1n,
};

const modulo = (value, by) => {
  const rest = value % by;
  return rest < 0n ? rest + by : rest;
};
const inField = (value) => modulo(value, FIELD);

function power(base, exponent) {
  let result = 1n;
  for (; exponent; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % FIELD;
    base = (base * base) % FIELD;
  }
  return result;
}

// By Euclid's algorithm; `value` is not zero.
function inverse(value, by) {
  let [rest, next] = [by, modulo(value, by)];
  let [found, after] = [0n, 1n];
  while (next) {
    const whole = rest / next;
    [rest, next] = [next, rest - whole * next];
    [found, after] = [after, found - whole * after];
  }
  return modulo(found, by);
}

function doubled(point) {
  if (point === null || point.y === 0n) return null;
  const square = (point.y * point.y) % FIELD;
  const shared = (4n * point.x * square) % FIELD;
  const slope = (3n * point.x * point.x) % FIELD;
  const x = inField(slope * slope - 2n * shared);
  return { x, y: inField(slope * (shared - x) - 8n * square * square), z: (2n * point.y * point.z) % FIELD };
}

function added(left, right) {
  if (left === null || right === null) return left ?? right;
  const [leftSquare, rightSquare] = [(left.z * left.z) % FIELD, (right.z * right.z) % FIELD];
  const [leftX, rightX] = [(left.x * rightSquare) % FIELD, (right.x * leftSquare) % FIELD];
  const leftY = (((left.y * rightSquare) % FIELD) * right.z) % FIELD;
  const rightY = (((right.y * leftSquare) % FIELD) * left.z) % FIELD;
  if (leftX === rightX) return leftY === rightY ? doubled(left) : null;
  const [across, up] = [inField(rightX - leftX), inField(rightY - leftY)];
  const square = (across * across) % FIELD;
  const cube = (square * across) % FIELD;
  const shared = (leftX * square) % FIELD;
  const x = inField(up * up - cube - 2n * shared);
  return { x, y: inField(up * (shared - x) - leftY * cube), z: (((left.z * right.z) % FIELD) * across) % FIELD };
}

// a * left + b * right, in one run over the bits of both.
function combined(a, left, b, right) {
  const table = [null, left, right, added(left, right)];
  let sum = null;
  for (let bit = 255n; bit >= 0n; bit -= 1n) {
    sum = doubled(sum);
    const which = Number((a >> bit) & 1n) + 2 * Number((b >> bit) & 1n);
    if (which) sum = added(sum, table[which]);
  }
  return sum;
}

const toNumber = (bytes) => (bytes.length ? BigInt(`0x${hex(bytes)}`) : 0n);
const bytesOf = (number, size) => fromHex(number.toString(16).padStart(2 * size, "0"));

// The address (20 bytes) whose key made this signature over a digest; null where the numbers are none of a signature, or no
// key fits. Most numbers give some address: it must be compared.
function recoverAddress(digest, r, s, parity) {
  if (r <= 0n || r >= ORDER || s <= 0n || s >= ORDER || (parity !== 0n && parity !== 1n)) return null;
  const square = (r * r * r + 7n) % FIELD;
  const root = power(square, (FIELD + 1n) / 4n);
  if ((root * root) % FIELD !== square) return null;
  const nonce = { x: r, y: (root & 1n) === parity ? root : FIELD - root, z: 1n };
  const inverted = inverse(r, ORDER);
  const key = combined(modulo(-toNumber(digest) * inverted, ORDER), GENERATOR, (s * inverted) % ORDER, nonce);
  if (key === null) return null;
  const scale = inverse(key.z, FIELD);
  const scaled = (scale * scale) % FIELD;
  const [x, y] = [(key.x * scaled) % FIELD, (((key.y * scaled) % FIELD) * scale) % FIELD];
  return keccak256(concat(bytesOf(x, 32), bytesOf(y, 32))).subarray(12);
}
