// Protocol Buffers on the wire, read as appliance.anchors.fabric.wire does: less than others read. A field that may stand once
// and stands twice, another wire type, or a cut field is refused; fields of other numbers are passed over.

const DEEPEST_MESSAGE = 8;
const MOST_MESSAGE_FIELDS = 20000;
const LARGEST_MESSAGE = 4 * 1024 * 1024;

class MalformedMessage extends Broken {
  constructor() {
    super("a message that is not of its form", "消息格式错误");
  }
}

// A number of at most 64 bits, in as few bytes as it takes.
function readVarint(data, at) {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = data[at];
    if (byte === undefined) throw new MalformedMessage();
    at += 1;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (value >> 64n || (shift && !byte)) throw new MalformedMessage();
      return [value, at];
    }
  }
  throw new MalformedMessage();
}

// Number and value of each field; null: of fixed length, which none here has.
function* messageFields(data) {
  let count = 0;
  for (let at = 0; at < data.length; ) {
    count += 1;
    let key;
    [key, at] = readVarint(data, at);
    const [place, type] = [key >> 3n, Number(key & 7n)];
    if (count > MOST_MESSAGE_FIELDS || place === 0n || place >= 1n << 29n || ![0, 1, 2, 5].includes(type)) throw new MalformedMessage();
    let value = { 1: 8n, 5: 4n }[type];
    if (type === 0 || type === 2) [value, at] = readVarint(data, at);
    if (type === 0) {
      yield [Number(place), value];
      continue;
    }
    if (value > BigInt(data.length - at)) throw new MalformedMessage();
    const end = at + Number(value);
    yield [Number(place), type === 2 ? data.subarray(at, end) : null];
    at = end;
  }
}

// The message that these bytes are. `form`: by name, [number, kind], where a kind is "whole" (BigInt), "octets", "text", another
// form, or a list of one of these for a field that may stand many times. What is left out is 0, empty, or null of a message.
function readMessage(data, form, depth = 0) {
  if (depth > DEEPEST_MESSAGE || data.length > LARGEST_MESSAGE) throw new MalformedMessage();
  const found = {};
  const byNumber = new Map(Object.entries(form).map(([name, [number, kind]]) => [number, [name, kind]]));
  for (const [number, value] of messageFields(data)) {
    if (!byNumber.has(number)) continue;
    const [name, kind] = byNumber.get(number);
    const many = Array.isArray(kind);
    const read = readField(many ? kind[0] : kind, value, depth);
    if (many) (found[name] ??= []).push(read);
    else if (Object.hasOwn(found, name)) throw new MalformedMessage();
    else found[name] = read;
  }
  const absent = (kind) => (Array.isArray(kind) ? [] : ({ whole: 0n, octets: new Uint8Array(), text: "" }[kind] ?? null));
  for (const [name, [, kind]] of Object.entries(form)) found[name] ??= absent(kind);
  return found;
}

function readField(kind, value, depth) {
  if (value === null || (typeof value === "bigint") !== (kind === "whole")) throw new MalformedMessage();
  if (typeof kind === "object") return readMessage(value, kind, depth + 1);
  if (kind !== "text") return value;
  try {
    return fromUtf8(value);
  } catch {
    throw new MalformedMessage();
  }
}
