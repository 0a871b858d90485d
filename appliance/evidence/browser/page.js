// The page itself. Everything that comes from a file is set as text, never as markup.

const SAID = {
  title: text("Check a letter’s evidence", "验证函件证据"),
  lead: text(
    "This page checks an evidence file (.asice) in your browser. Nothing is sent anywhere: the page has no network.",
    "本页在您的浏览器中检查证据文件（.asice）。不会发送任何内容：本页没有网络访问。",
  ),
  trustTitle: text("1. Whom to believe", "1. 信任谁"),
  trustLead: text(
    "Choose all files of a trust bundle: bundle.json, bundle.json.sig and its revocation lists. Get it from the institution, not with the letter. Without one, the answer is INDETERMINATE at best.",
    "请选择信任包的全部文件：bundle.json、bundle.json.sig 及其吊销列表。请向机构获取，而不要随函件获取。没有信任包，结论至多为 INDETERMINATE。",
  ),
  trustPick: text("Trust bundle", "信任包"),
  fileTitle: text("2. What to check", "2. 检查什么"),
  filePick: text("Evidence file", "证据文件"),
  compare: text("Compare the fingerprint of its key with one that you got by other means:", "请将其密钥指纹与您从其他途径取得的指纹核对："),
  refused: text("The trust bundle is refused: ", "信任包被拒绝："),
  version: text("Version", "版本"),
  until: text("in force until", "有效期至"),
  rehearsal: text("REHEARSAL: for practice. What it verifies binds nobody.", "演练：仅供练习，其验证结果不具约束力。"),
  "TOTAL-PASSED": text("Everything that was checked holds.", "所检查的各项均成立。"),
  INDETERMINATE: text("What was given neither proves nor refutes it.", "所给材料既不能证明，也不能否定。"),
  "TOTAL-FAILED": text("Something is wrong: do not rely on it.", "存在问题：请勿依赖。"),
  limits: text(
    "This page knows less than cinnabar verify does: it keeps no memory of trust bundles and follows no constitution, so that it does not know whose the approvers’ keys are. It reads no files of kinds: fields, states and events go by the names that programs give them. It does not set a letter’s PDF again, so that it does not know whether that shows what the event says.",
    "本页所知少于 cinnabar verify：它不记忆信任包，也不追溯章程，因此不知道审批人密钥属于谁。它不读取种类文件：字段、状态和事件以程序所用的名称显示。它不重新排版函件的 PDF，因此不知道其所示是否即事件所述。",
  ),
  letter: text("Letter", "函件"),
  kind: text("Kind", "种类"),
  state: text("State", "状态"),
  balance: text("Balance", "余额"),
  yes: text("yes", "是"),
  no: text("no", "否"),
  origin: text("Split off from", "拆分自"),
  sealedBy: text("Sealed by", "签章方"),
  nobody: text("not shown", "未能证明"),
  claims: text("The box claims", "设备声明"),
  existed: text("Existed no later than", "最迟存在于"),
  onlyBox: text("nobody but the box says so", "除设备外无人证明"),
  events: text("Events", "事件"),
  approvals: text("Approvals", "审批"),
  ledgers: text("Ledgers", "账本"),
  ledger: text("Ledger", "账本"),
  shownHow: text("Shown", "证明程度"),
  rule: text("By", "依据"),
  place: text("Place", "位置"),
  ledgerTime: text("Ledger’s time", "账本时间"),
  checking: text("Checking…", "正在检查…"),
  event: text("Event", "事件"),
  value: text("Value", "金额"),
  by: text("Asked by", "申请方"),
  verdict: text("Verdict", "结论"),
  fields: text("Fields", "字段"),
  disclosed: text("disclosed", "已披露"),
  checks: text("Every check", "全部检查"),
  doubtful: text("What follows is what the file says. It is not proven.", "以下为文件自称的内容，未经证明。"),
  tooLarge: text("The file is larger than any evidence file.", "文件大于任何证据文件。"),
};
const MOVED = {
  open: text("open", "设立"), raise: text("raise", "增加"), lower: text("lower", "减少"), close: text("close", "结清"),
  split: text("split", "拆分"),
};
const STRENGTHS = {
  proven: text("proven", "已证明"), attested: text("attested", "仅有声明"), refused: text("refused", "被拒绝"), unknown: text("unknown", "未知"),
  undecided: text("not judged here", "此处未判定"),
};
const STRENGTH_COLOURS = { proven: "passed", attested: "", refused: "undecided", unknown: "", undecided: "undecided" };
const SIGNS = { passed: "✓", undecided: "?", failed: "✗", note: "·" };
const COLOURS = { "TOTAL-PASSED": "passed", INDETERMINATE: "undecided", "TOTAL-FAILED": "failed" };
const LARGEST = 512 * 1024 * 1024;

const page = { language: navigator.language?.startsWith("zh") ? "zh" : "en", trust: null, refusal: null, name: "", data: null, result: null, turn: 0 };
const say = (said) => said[page.language];

function make(tag, content, className) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (typeof content === "string") made.textContent = content;
  else if (content) made.append(...[].concat(content));
  return made;
}

function table(rows, className, head) {
  const made = make("table", null, className);
  if (head) made.append(make("tr", head.map((one) => make("th", one))));
  for (const row of rows) {
    made.append(make("tr", row.map((cell, at) => make(className === "facts" && at === 0 ? "th" : "td", cell))));
  }
  return make("div", made, "scroll");
}

const line = (value) =>
  value !== null && typeof value === "object"
    ? Array.isArray(value)
      ? value.map(line).join("; ")
      : Object.keys(value).sort().join() === "amount,currency"
        ? `${value.amount} ${value.currency}`
        : Object.keys(value).sort().join() === "id,name"
          ? `${value.name} (${value.id})`
          : Object.keys(value).join() === "name"
            ? line(value.name)
            : Object.keys(value).map((name) => `${name}: ${line(value[name])}`).join(", ")
    : typeof value === "boolean"
      ? say(value ? SAID.yes : SAID.no)
      : String(value);

async function showTrust() {
  const place = document.getElementById("trust-said");
  place.replaceChildren();
  if (page.refusal) place.append(make("p", say(SAID.refused) + shown(say(page.refusal)), "failed"));
  if (!page.trust) return;
  const { fingerprint, version, expires, rehearsal } = page.trust;
  const words = await Promise.all(["en", "zh"].map((one) => inWords(fingerprint, WORDS[one])));
  const ordered = page.language === "en" ? words : words.reverse();
  place.replaceChildren(
    make("p", `${say(SAID.version)} ${version}, ${say(SAID.until)} ${spoken(expires)}`),
    make("p", say(SAID.compare)),
    ...ordered.map((one) => make("p", one, "words")),
    make("p", `SHA-256 ${fingerprint}`, "code soft"),
    ...(rehearsal ? [make("p", say(SAID.rehearsal), "undecided")] : []),
  );
}

// What stands there was of another file or another bundle.
function showWaiting() {
  const place = document.getElementById("result");
  place.hidden = false;
  place.replaceChildren(make("p", say(SAID.checking), "soft"));
}

function showResult() {
  const place = document.getElementById("result");
  place.hidden = page.result === null;
  place.replaceChildren();
  if (!page.result) return;
  const { indication, parts, letter } = page.result;
  place.append(make("p", indication, `verdict ${COLOURS[indication]}`), make("p", say(SAID[indication])), make("p", shown(page.name, 200), "soft"));
  if (page.trust?.rehearsal) place.append(make("p", say(SAID.rehearsal), "undecided"));
  for (const part of parts) {
    for (const check of part.findings.checks.filter((one) => one.outcome === "failed" || one.outcome === "undecided")) {
      place.append(make("p", `${SIGNS[check.outcome]} ${say(part.title)}: ${say(check.said)}`, check.outcome));
    }
  }
  if (letter) showLetter(place, letter, indication);
  const all = make("details", make("summary", say(SAID.checks)));
  for (const part of parts) {
    all.append(make("h3", say(part.title)), make("ul", part.findings.checks.map((one) => make("li", `${SIGNS[one.outcome]} ${say(one.said)}`, one.outcome))));
  }
  place.append(all, make("p", say(SAID.limits), "soft"));
}

function showLetter(place, letter, indication) {
  const { state, events, about } = letter;
  const newest = events[events.length - 1];
  if (indication !== "TOTAL-PASSED") place.append(make("p", say(SAID.doubtful), "undecided"));
  const outside = newest.outside ? `${spoken(newest.outside.until)} (${newest.outside.by})` : say(SAID.onlyBox);
  const rows = [
    [say(SAID.letter), about],
    [say(SAID.kind), `${shown(state.kind, 80)} ${state.version}`],
    [say(SAID.state), shown(state.state, 80)],
    ...(state.currency ? [[say(SAID.balance), printAmount(state.balance, state.currency)]] : []),
    ...(state.origin ? [[say(SAID.origin), state.origin]] : []),
    [say(SAID.sealedBy), newest.signer ?? `${say(SAID.nobody)}${newest.claimedSigner ? ` (${newest.claimedSigner}?)` : ""}`],
    [say(SAID.claims), shown(newest.event.at, 40)],
    [say(SAID.existed), outside],
  ];
  place.append(make("h3", say(SAID.letter)), table(rows, "facts"));
  const fields = Object.entries(state.fields).map(([name, value]) => [name, value, ""]);
  for (const [name, value] of Object.entries(state.disclosed ?? {})) fields.push([name, value, ` [${say(SAID.disclosed)}]`]);
  place.append(make("h3", say(SAID.fields)), table(fields.map(([name, value, form]) => [shown(name, 80) + form, shown(line(value))]), "facts"));
  const head = ["#", SAID.event, SAID.claims, SAID.state, SAID.value, SAID.by, SAID.verdict].map((one) => (one === "#" ? one : say(one)));
  const told = events.map(({ event, indication: found }) => [
    event.letter === events[0].event.letter ? String(event.number) : `${event.number} (${event.letter.slice(0, 8)}…)`, shown(event.event, 80), shown(event.at, 40), shown(event.state, 80),
    event.value ? shown(`${say(MOVED[event.value.move])} ${event.value.amount} ${event.value.currency}`, 120) : "",
    shown(`${event.actor.application} (${event.actor.tenant})`, 200),
    make("span", found, COLOURS[found]),
  ]);
  place.append(make("h3", say(SAID.events)), table(told, "told", head));
  if (letter.ledgers.length) showLedgers(place, letter.ledgers);
  const approvals = page.result.parts.flatMap((part) =>
    part.findings.checks.filter((one) => one.name === "approval").map((one) => make("li", `${SIGNS[one.outcome]} ${say(part.title)}: ${say(one.said)}`, one.outcome)),
  );
  if (approvals.length) place.append(make("h3", say(SAID.approvals)), make("ul", approvals));
}

function showLedgers(place, ledgers) {
  const head = [SAID.ledger, SAID.shownHow, SAID.rule, SAID.place, SAID.ledgerTime, SAID.existed].map(say);
  const rows = ledgers.map(({ ledger, strength, by, place: where, time, until, reason }) => [
    ledger, make("span", `${say(STRENGTHS[strength])}${reason ? `: ${say(reason)}` : ""}`, STRENGTH_COLOURS[strength]),
    by === null ? "" : say(BY_WORDS[by]), where === null ? "" : say(where), ...[time, until].map((one) => (one === null ? "" : spoken(one))),
  ]);
  place.append(make("h3", say(SAID.ledgers)), table(rows, "told ledgers", head));
}

async function showAll() {
  document.documentElement.lang = page.language === "zh" ? "zh-Hans" : "en";
  document.getElementById("language").textContent = page.language === "zh" ? "English" : "中文";
  for (const place of document.querySelectorAll("[data-say]")) place.textContent = say(SAID[place.dataset.say]);
  await showTrust();
  showResult();
}

async function judge() {
  const turn = (page.turn += 1);
  if (page.data) showWaiting();
  const result = page.data ? await verifyEvidence(page.data, page.trust, Date.now()) : null;
  if (turn !== page.turn) return;
  page.result = result;
  await showAll();
  document.documentElement.dataset.done = String(turn);
}

document.getElementById("language").addEventListener("click", () => {
  page.language = page.language === "zh" ? "en" : "zh";
  showAll();
});
for (const name of ["trust", "file"]) {
  // The same file, chosen again, is read again.
  const input = document.getElementById(name);
  input.addEventListener("click", () => (input.value = ""));
}
document.getElementById("trust").addEventListener("change", async (event) => {
  page.trust = page.refusal = null;
  try {
    const files = new Map();
    for (const file of event.target.files) {
      if (file.size <= 16 * 1024 * 1024) files.set(file.name, new Uint8Array(await file.arrayBuffer()));
    }
    page.trust = await readTrust(files);
  } catch (error) {
    page.refusal = saidBy(error);
  }
  await showAll();
  await judge();
});
document.getElementById("file").addEventListener("change", async (event) => {
  const file = event.target.files[0];
  page.data = page.result = null;
  if (!file) return showAll();
  page.name = file.name;
  if (file.size > LARGEST) {
    const findings = new Findings();
    findings.failed("container", SAID.tooLarge.en, SAID.tooLarge.zh);
    page.result = { indication: "TOTAL-FAILED", parts: [{ title: SAID.fileTitle, findings }], letter: null };
    return showAll();
  }
  page.data = new Uint8Array(await file.arrayBuffer());
  return judge();
});
showAll();
