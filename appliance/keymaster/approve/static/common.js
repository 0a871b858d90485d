// What the approval pages share. Text is only ever put in as text: nothing here or elsewhere makes markup of it.

const LANGUAGES = ["en", "zh-Hans"];

/** Text in both languages; the style sheet shows the one that the page is in. */
export function both(english, chinese) {
  const pair = document.createDocumentFragment();
  [english, chinese].forEach((text, index) => {
    const span = document.createElement("span");
    span.lang = LANGUAGES[index];
    span.textContent = text;
    pair.append(span);
  });
  return pair;
}

/** An element with children: nodes, texts or pairs. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

export function find(id) {
  return document.getElementById(id);
}

/** The page's language: what was chosen here before, else the browser's. */
export function startLanguage() {
  let wanted = null;
  try {
    wanted = localStorage.getItem("language");
  } catch {
    // A browser that keeps nothing still shows the page.
  }
  setLanguage(LANGUAGES.includes(wanted) ? wanted : navigator.language.startsWith("zh") ? "zh-Hans" : "en");
  find("language").addEventListener("click", () => {
    const other = document.documentElement.lang === "en" ? "zh-Hans" : "en";
    setLanguage(other);
    try {
      localStorage.setItem("language", other);
    } catch {
      // as above
    }
  });
}

function setLanguage(language) {
  document.documentElement.lang = language;
  const button = find("language");
  button.textContent = language === "en" ? "中文" : "English";
  button.lang = language === "en" ? "zh-Hans" : "en";
}

/** Something went wrong, in words; the page stays usable. */
export function complain(english, chinese, detail = "") {
  const box = find("problem");
  box.replaceChildren(both(english, chinese), ...(detail ? [" ", element("span", { className: "detail" }, visible(detail))] : []));
  box.hidden = false;
  box.scrollIntoView({ block: "nearest" });
}

export function calm() {
  find("problem").hidden = true;
}

/** A value from the box. Throws a Problem with the box's own words. */
export async function ask(path, body = undefined) {
  const response = await fetch(path, {
    method: body === undefined ? "GET" : "POST",
    headers: body === undefined ? {} : { "Content-Type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    credentials: "omit",
    redirect: "error",
  });
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, value);
  return value;
}

export class Problem extends Error {
  constructor(status, value) {
    super(value.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = String(value.type ?? "").split(":").pop();
  }
}

export function toBytes(base64url) {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

export function toBase64url(buffer) {
  const text = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Characters that can mislead a reader, as code points: controls, formats, direction marks, odd spaces. */
export function visible(text) {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u2800\u3164\uffa0]/gu, (character) =>
    character === "\n" ? character : `⟨U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`,
  );
}

/** The 24 words of 32 bytes (BIP-39) in both languages: {en: [...], "zh-Hans": [...]}. */
export async function wordsOf(bytes) {
  const lists = await ask("/static/words.json");
  const all = new Uint8Array([...bytes, (await sha256(bytes))[0]]);
  const bits = Array.from(all, (byte) => byte.toString(2).padStart(8, "0")).join("");
  const numbers = bits.match(/.{11}/g).map((part) => parseInt(part, 2));
  return Object.fromEntries(LANGUAGES.map((language) => [language, numbers.map((number) => lists[language][number])]));
}

/** Show words as a numbered list. */
export function showWords(list, words) {
  list.replaceChildren(...words.en.map((word, index) => element("li", {}, both(word, words["zh-Hans"][index]))));
}

/** [label, value] pairs as terms and descriptions. */
export function showFacts(list, facts) {
  list.replaceChildren(...facts.flatMap(([label, value]) => [element("dt", {}, label), element("dd", {}, value)]));
}

/** Lead a link of the page to an address at the management origin, as the box's settings have it. It carries nothing. */
export function leadTo(link, address) {
  const to = new URL(address);
  if (to.protocol !== "https:") return;
  link.href = to.href;
  link.rel = "noreferrer";
  link.parentElement.hidden = false;
}

/** What an authenticator's refusal means to a person; nothing was sent then. */
export function complainOfPasskey(error) {
  if (error.name === "NotAllowedError" || error.name === "AbortError") {
    complain(
      "The passkey was not used. Nothing was sent; try again when you are ready.",
      "未使用通行密钥，未发送任何内容。准备好后请重试。",
    );
  } else if (error.name === "InvalidStateError") {
    complain("This authenticator already holds a passkey for you here.", "此认证器已存有您在此处的通行密钥。");
  } else if (error instanceof Problem) {
    complain("The box did not take it:", "设备未接受：", error.message);
  } else {
    complain("The browser could not do it:", "浏览器无法完成：", `${error.name}: ${error.message}`);
  }
}
