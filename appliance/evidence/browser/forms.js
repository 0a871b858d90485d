// What canonical JSON must look like, as predicates put together: members, lists, numbers, texts.

// Lengths are counted in characters, not in the halves of those beyond U+FFFF.
const isText = (pattern = null, most = Infinity, least = 0) => (value) => {
  if (typeof value !== "string" || value.length > 2 * most || /\p{Cs}/u.test(value)) return false;
  const length = /[\ud800-\udfff]/.test(value) ? [...value].length : value.length;
  return length >= least && length <= most && (pattern === null || pattern.test(value));
};
const isNumber = (least = 0, most = Number.MAX_SAFE_INTEGER) => (value) => Number.isSafeInteger(value) && value >= least && value <= most;
const isListOf = (each, most = Infinity, least = 0) => (value) => Array.isArray(value) && value.length >= least && value.length <= most && value.every(each);
const isEither = (...forms) => (value) => forms.some((is) => is(value));
const isNull = (value) => value === null;
const isOne = (...values) => (value) => values.includes(value);

// An object with these members and no others; those that are optional may be left out.
const isRecord = (members, optional = {}) => (value) =>
  isObject(value) &&
  Object.keys(value).every((name) => Object.hasOwn(members, name) || Object.hasOwn(optional, name)) &&
  Object.entries(members).every(([name, is]) => Object.hasOwn(value, name) && is(value[name])) &&
  Object.entries(optional).every(([name, is]) => !Object.hasOwn(value, name) || is(value[name]));

const isHex = (value) => typeof value === "string" && value.length % 2 === 0 && /^[0-9a-f]*$/.test(value);
const isHexOf = (most) => (value) => isHex(value) && value.length <= 2 * most;
const isHex32 = (value) => isHex(value) && value.length === 64;
const isDistinct = (values) => new Set(values).size === values.length;

// Bytes in base64, in its one spelling, between so many of them.
const isBase64 = (least = 0, most = Infinity) => (value) => {
  try {
    const { length } = fromBase64(value);
    return length >= least && length <= most;
  } catch {
    return false;
  }
};

// The members of a JSON object as they are written, by name; null where there is no such object.
function writtenMembers(said) {
  const found = new Map();
  const text = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
  const end = (at) => {
    for (let depth = 0; at < said.length; at += 1) {
      const one = said[at];
      if (one === '"') {
        text.lastIndex = at;
        if (!text.test(said)) return -1;
        at = text.lastIndex - 1;
      } else if (depth === 0 && (one === "," || one === "}")) return at;
      else if (one === "{" || one === "[") depth += 1;
      else if (one === "}" || one === "]") depth -= 1;
    }
    return -1;
  };
  let at = 1;
  while (said[at - 1] === (found.size ? "," : "{")) {
    text.lastIndex = at;
    if (!text.test(said) || said[text.lastIndex] !== ":") return null;
    const name = said.slice(at, text.lastIndex);
    const begin = text.lastIndex + 1;
    const stop = end(begin);
    if (stop < 0 || found.has(name)) return null;
    found.set(name, said.slice(begin, stop));
    at = stop + 1;
  }
  return at === said.length && said[at - 1] === "}" ? found : null;
}

// Whether a JSON text has a number that is not written as a whole one: 5.0 and 5e0 are 5 to JSON.parse alone.
const hasFractions = (said) => /[0-9][.eE]/.test(said.replace(/"(?:[^"\\]|\\.)*"/g, '""'));

// One member of a JSON object as it is written, in whatever spelling the rest is; of several of one name the last, which is the one
// that JSON.parse gives.
function memberText(said, name) {
  let [depth, key, begin, found] = [0, null, -1, null];
  for (const { 0: token, index } of said.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^\s{}[\]:,"]+/g)) {
    if (depth === 1 && begin < 0) {
      if (token === ":") begin = index + 1;
      else if (token[0] === '"') key = JSON.parse(token);
    } else if (depth === 1 && (token === "," || token === "}")) {
      if (key === name) found = said.slice(begin, index).trim();
      begin = -1;
    }
    if (token === "{" || token === "[") depth += 1;
    else if (token === "}" || token === "]") depth -= 1;
  }
  return found;
}

// Canonical JSON but for one member, whose own reader holds it to its form: { value, inner }, the latter as it is written.
function readAround(said, name) {
  const refuse = () => {
    throw new Broken("not JSON in its canonical form", "不是规范形式的 JSON");
  };
  const inner = writtenMembers(said)?.get(JSON.stringify(name));
  if (inner === undefined) refuse();
  try {
    const value = JSON.parse(said);
    JSON.parse(inner);
    const around = Object.keys(value).sort().map((one) => `${JSON.stringify(one)}:${one === name ? inner : canonical(value[one])}`);
    if (`{${around.join(",")}}` !== said) refuse();
    return { value, inner };
  } catch {
    return refuse();
  }
}
