"use strict";
// Bytes, texts and findings. Nothing in these files writes markup, and nothing leaves the page.

class Broken extends Error {
  constructor(en, zh) {
    super(en);
    this.text = { en, zh };
  }
}

const text = (en, zh) => ({ en, zh });

// Whatever goes wrong while reading what somebody made means that it is malformed.
const saidBy = (error) => (error instanceof Broken ? error.text : text("malformed", "格式错误"));

class Findings {
  constructor() {
    this.checks = [];
    // Algorithms that its object relies on, whether or not they have ended.
    this.reliedOn = [];
  }
  // `cause`: the sub-indication of EN 319 102-1, where a check may fail for several.
  add(outcome, name, said, cause = null) {
    this.checks.push({ outcome, name, said, cause });
  }
  passed(name, en, zh) {
    this.add("passed", name, text(en, zh));
  }
  note(name, en, zh) {
    this.add("note", name, text(en, zh));
  }
  undecided(name, en, zh, cause = null) {
    this.add("undecided", name, text(en, zh), cause);
  }
  failed(name, en, zh) {
    this.add("failed", name, text(en, zh));
  }
  expect(condition, name, passed, failed) {
    this.add(condition ? "passed" : "failed", name, condition ? passed : failed);
    return condition;
  }
  get indication() {
    const outcomes = new Set(this.checks.map((check) => check.outcome));
    if (outcomes.has("failed")) return "TOTAL-FAILED";
    return outcomes.has("undecided") || outcomes.size === 0 ? "INDETERMINATE" : "TOTAL-PASSED";
  }
}

const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
const hasMembers = (value, names) => isObject(value) && Object.keys(value).sort().join() === [...names].sort().join();
const concat = (...parts) => {
  const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    made.set(part, at);
    at += part.length;
  }
  return made;
};
const equal = (left, right) => left.length === right.length && left.every((byte, at) => byte === right[at]);
const utf8 = (said) => new TextEncoder().encode(said);
const hex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

function fromUtf8(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Broken("not UTF-8", "不是 UTF-8");
  }
}

function fromHex(said) {
  if (typeof said !== "string" || said.length % 2 || !/^[0-9a-f]*$/.test(said)) throw new Broken("not hexadecimal", "不是十六进制");
  const made = new Uint8Array(said.length / 2);
  for (let at = 0; at < made.length; at += 1) made[at] = parseInt(said.slice(2 * at, 2 * at + 2), 16);
  return made;
}

function fromBase64(said) {
  let decoded;
  try {
    const characters = atob(said);
    decoded = new Uint8Array(characters.length);
    for (let at = 0; at < decoded.length; at += 1) decoded[at] = characters.charCodeAt(at);
  } catch {
    throw new Broken("not base64", "不是 base64");
  }
  if (toBase64(decoded) !== said) throw new Broken("base64 in another form", "base64 形式不规范");
  return decoded;
}

function toBase64(bytes) {
  let characters = "";
  for (let at = 0; at < bytes.length; at += 8192) characters += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(characters);
}
const toBase64url = (bytes) => toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

function fromBase64url(said) {
  if (typeof said !== "string" || !/^[A-Za-z0-9_-]*$/.test(said)) throw new Broken("not base64url", "不是 base64url");
  return fromBase64(said.replaceAll("-", "+").replaceAll("_", "/").padEnd(Math.ceil(said.length / 4) * 4, "="));
}

const digest = async (name, bytes) => (name === "SM3" ? sm3(bytes) : new Uint8Array(await crypto.subtle.digest(name, bytes)));
const sha256 = (bytes) => digest("SHA-256", bytes);
const sha256Hex = async (bytes) => hex(await sha256(bytes));

// JSON in the form of RFC 8785: what JavaScript itself writes, with the members of each object sorted.
function canonical(value, depth = 0) {
  if (depth > 64) throw new Broken("nested too deeply", "嵌套过深");
  if (value === null || typeof value !== "object") {
    if (typeof value === "string" && /\p{Cs}/u.test(value)) throw new Broken("a text that is none", "文本无效");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, depth + 1)).join(",")}]`;
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name], depth + 1)}`).join(",")}}`;
}

function readCanonical(bytes) {
  const said = fromUtf8(bytes);
  let value;
  try {
    value = JSON.parse(said);
    if (canonical(value) !== said) throw new Broken("", "");
  } catch {
    throw new Broken("not JSON in its canonical form", "不是规范形式的 JSON");
  }
  return value;
}

// Characters that mislead or draw nothing, as code points.
const MISLEADING =
  /[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\uffa0\ufe00-\ufe0f\u{e0100}-\u{e01ef}“”⟨⟩]/gu;
function shown(said, longest = 2000) {
  const whole = String(said);
  const cut = whole.length > longest ? `${whole.slice(0, longest)}…` : whole;
  return cut.replace(MISLEADING, (one) => `⟨U+${one.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

const spoken = (milliseconds) => new Date(milliseconds).toISOString().replace("T", " ").replace(/\.000Z$/, "").replace("Z", "") + " UTC";
