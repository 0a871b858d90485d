import {
  ask, both, calm, complain, complainOfPasskey, element, find, leadTo, Problem, sha256, showFacts, showWords, startLanguage,
  toBase64url, toBytes, toHex, visible, wordsOf,
} from "/static/common.js";

const DIGEST = location.pathname.split("/")[2];
const REFRESH_MS = 4000;
const CONTEXT = "cinnabar statement v1\0";
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
const PIXELS_A_MILLIMETRE = 96 / 25.4;

const VERBS = {
  request: {
    button: ["Sign my request", "签署我的请求"],
    said: ["requested this", "提出请求"],
    thanks: ["Your request is on record. Other officers can approve it now; send them this page's address.", "您的请求已记录在案。其他安全官现在可以批准；请把本页地址发给他们。"],
  },
  approve: {
    button: ["Approve", "批准"],
    said: ["approved", "批准"],
    thanks: ["Your approval is on record. You can close this page.", "您的批准已记录在案。可以关闭本页。"],
  },
  reject: {
    button: ["Reject", "否决"],
    said: ["rejected", "否决"],
    thanks: ["Your rejection is on record. You can close this page.", "您的否决已记录在案。可以关闭本页。"],
  },
  "take-away": {
    button: ["Do this now", "立即执行"],
    said: ["ordered this", "下令执行"],
    thanks: ["Your word is on record, and the box acts on it now.", "您的指令已记录在案，设备正在执行。"],
  },
  accept: {
    button: ["Accept my office", "接受任命"],
    said: ["accepted", "接受任命"],
    thanks: ["Your acceptance is on record. You can close this page.", "您的接受已记录在案。可以关闭本页。"],
  },
};
const STATES = {
  open: ["Open", "进行中"],
  approved: ["Approved", "已批准"],
  executing: ["Being executed", "执行中"],
  executed: ["Executed", "已执行"],
  failed: ["Failed", "失败"],
  rejected: ["Rejected", "已否决"],
  expired: ["Expired", "已失效"],
};

let shown = "";
let rpId = "";

async function start() {
  startLanguage();
  try {
    await show(await ask(`/api/proposals/${DIGEST}`));
    find("proposal").hidden = false;
    setInterval(refresh, REFRESH_MS);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) {
      complain("The box has no such proposal. Check the link, or ask whoever sent it.", "设备上没有此提案。请检查链接，或询问发送者。");
    } else if (error instanceof Altered) {
      complain(
        "Do not sign. The text that arrived is not the one that this address names: something between you and the box has changed it. Close this page, tell the other officers, and read the proposal at the box's console.",
        "请勿签署。收到的内容与本地址所指的提案不符：您与设备之间有人篡改了内容。请关闭本页，通知其他安全官，并在设备控制台查看该提案。",
      );
    } else {
      complainOfPasskey(error);
    }
  }
}

class Altered extends Error {}

/** The bytes must have the digest that the address names; the words and the signature are made of that digest. */
async function check(text) {
  const digest = await sha256(new TextEncoder().encode(text));
  if (toHex(digest) !== DIGEST) throw new Altered();
  return digest;
}

async function show(value) {
  const digest = await check(value.text);
  const document_ = JSON.parse(value.text);
  rpId = value.rp_id;
  find("mode").hidden = document_.mode !== "rehearsal";
  const english = value.explanation.en;
  const chinese = value.explanation["zh-Hans"];
  find("summary").replaceChildren(both(english.summary.sentence, chinese.summary.sentence));
  showFacts(find("summary-facts"), pairs(english.summary.facts, chinese.summary.facts));
  const pictures = await Promise.all(document_.actions.map(pictureOf));
  find("steps").replaceChildren(
    ...english.steps.map((part, index) => {
      const facts = element("dl");
      showFacts(facts, pairs(part.facts, chinese.steps[index].facts));
      const done = value.steps[index];
      return element(
        "li",
        { className: `card ${done ?? ""}` },
        element("p", { className: "sentence" }, both(part.sentence, chinese.steps[index].sentence)),
        facts,
        ...pictures[index],
        ...whole(part.rest, chinese.steps[index].rest),
      );
    }),
  );
  showFacts(find("binding"), pairs(english.binding, chinese.binding));
  showWords(find("words"), await wordsOf(digest));
  find("digest").textContent = toHex(digest);
  find("members").textContent = visible(JSON.stringify(document_, null, 2));
  leadTo(find("management"), value.management);
  showStanding(value, digest);
}

/** The picture that a step would register, as large as it is seen on paper: of the very text whose digest was checked. */
async function pictureOf(action) {
  if (action.action !== "register-seal") return [];
  const bytes = Uint8Array.from(atob(action.image), (character) => character.charCodeAt(0));
  const side = Math.round(action.side_mm * PIXELS_A_MILLIMETRE);
  const picture = element("img", { width: side, height: side, alt: `${visible(action.title)} (PNG)` });
  const address = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  try {
    if (!PNG.every((byte, place) => bytes[place] === byte)) throw new Error("another format");
    picture.src = address;
    await picture.decode();
  } catch {
    const warning = ["This browser cannot show the picture. Do not approve what you have not seen.", "浏览器无法显示该图像。未见图像请勿批准。"];
    return [element("p", { className: "alert" }, both(...warning))];
  } finally {
    URL.revokeObjectURL(address);
  }
  const digest = element("code", {}, toHex(await sha256(bytes)));
  const caption = element("figcaption", { className: "soft" }, both("The picture, drawn from the text that you sign. Its SHA-256, made by this browser:", "图像取自您所签署的内容。由浏览器计算的 SHA-256："), " ", digest);
  return [element("figure", { className: "picture" }, picture, caption)];
}

/** What stays as it was, out of the way but in reach. */
function whole(english, chinese) {
  if (!english.length) return [];
  const facts = element("dl");
  showFacts(facts, pairs(english, chinese));
  return [element("details", {}, element("summary", {}, both("The whole constitution", "章程全文")), facts)];
}

function pairs(english, chinese) {
  return english.map((fact, index) => [
    both(fact.label, chinese[index].label),
    both(fact.value, chinese[index].value),
  ]);
}

/** What changes while officers decide; drawn anew only when it did, so that nobody loses her place. */
function showStanding(value, digest) {
  const now = JSON.stringify([value.state, value.tally, value.choices, value.statements, value.error, value.steps]);
  if (now === shown) return;
  shown = now;
  const box = find("standing");
  box.className = `card ${value.state}`;
  box.replaceChildren(
    element("p", { className: "state" }, both(...STATES[value.state])),
    element("p", {}, next(value)),
    ...value.tally.scopes.filter(() => !value.takes_away).map((scope) => meter(scope)),
  );
  const names = (id) => visible(value.names[id] ?? id);
  find("said").replaceChildren(
    ...value.statements.map((one) =>
      element(
        "li",
        { className: one.verb },
        element("strong", {}, names(one.officer)),
        " ",
        both(...VERBS[one.verb].said),
        " ",
        element("time", { dateTime: one.received }, one.received.replace("T", " ").replace("Z", " UTC")),
      ),
    ),
    ...(value.statements.length ? [] : [element("li", { className: "none" }, both("Nothing yet.", "尚无。"))]),
  );
  const usable = value.choices.filter((choice) => choice.speakers.some((speaker) => speaker.passkeys.length));
  find("choices").replaceChildren(...usable.map((choice) => button(choice, digest, names)));
  const cards = value.choices.some((choice) => choice.speakers.some((speaker) => speaker.cards));
  find("cards").hidden = !cards;
  find("cards").replaceChildren(
    both(
      "Officers with cards sign without this page: see “Signing with a card” in docs/approvals.md.",
      "使用智能卡的安全官不在此页签署：见 docs/approvals.md 中 “Signing with a card”。",
    ),
  );
  find("decide").hidden = usable.length === 0 && !cards;
}

function meter(scope) {
  const name = scope.scope === "box" ? ["the box", "本机"] : [`tenant ${scope.scope.slice(7)}`, `租户 ${scope.scope.slice(7)}`];
  const count = scope.approved.length;
  return element(
    "p",
    { className: "meter" },
    both(
      `${count} of ${scope.threshold} approvals of ${name[0]}`,
      `${name[1]}：已有 ${count} / ${scope.threshold} 项批准`,
    ),
  );
}

function next(value) {
  const missing = value.tally.must_accept.map((id) => visible(value.names[id] ?? id)).join(", ");
  switch (value.state) {
    case "open":
      if (value.tally.outcome === "unsigned") return both("The requester has yet to sign it.", "提出人尚未签署。");
      if (missing && value.tally.scopes.every((scope) => scope.approved.length >= scope.threshold)) {
        return both(`Approved; still to accept: ${missing}.`, `已批准，尚待接受：${missing}。`);
      }
      return both("It waits for approvals.", "等待批准。");
    case "approved":
      return both("Enough officers have approved. It is executed from the management pages.", "批准已足够。可在管理页面执行。");
    case "executing":
      return both("The box is doing it now. Follow it on the management pages or the console.", "设备正在执行。可在管理页面或控制台查看。");
    case "executed":
      return both("It is done. The management pages have its transcript.", "已完成。管理页面有其完整记录。");
    case "failed":
      return both(`It stopped: ${visible(value.error ?? "")}. It can be executed again from the management pages, or withdrawn: officers who approved it reject it.`, `已中止：${visible(value.error ?? "")}。可在管理页面再次执行；批准过的安全官也可投否决票将其撤回。`);
    case "rejected":
      return both("So many officers rejected it that it is not executed any more. A new proposal is needed.", "否决人数已使其不再执行。需要新的提案。");
    default:
      return both("Its time is over. A new proposal is needed.", "已超过有效期。需要新的提案。");
  }
}

function button(choice, digest, names) {
  const who = choice.speakers.filter((speaker) => speaker.passkeys.length);
  const made = element("button", { type: "button", className: choice.verb === "reject" ? "second" : "main" }, both(...VERBS[choice.verb].button));
  made.dataset.verb = choice.verb;
  made.addEventListener("click", () => sign(choice.verb, who, digest, made));
  const list = who.map((speaker) => names(speaker.id));
  return element("div", { className: "choice" }, made, element("p", { className: "soft" }, both(`By passkey of: ${list.join(", ")}`, `可用通行密钥：${list.join("、")}`)));
}

async function sign(verb, speakers, digest, control) {
  calm();
  control.disabled = true;
  try {
    const context = new TextEncoder().encode(`${CONTEXT}${verb}\0`);
    const challenge = await sha256(new Uint8Array([...context, ...digest]));
    const given = await navigator.credentials.get({
      publicKey: {
        challenge,
        rpId,
        userVerification: "required",
        timeout: 300000,
        allowCredentials: speakers.flatMap((one) => one.passkeys.map((id) => ({ type: "public-key", id: toBytes(id) }))),
      },
    });
    const value = await ask(`/api/proposals/${DIGEST}/statements`, {
      verb,
      credential: {
        id: given.id,
        response: {
          authenticatorData: toBase64url(given.response.authenticatorData),
          clientDataJSON: toBase64url(given.response.clientDataJSON),
          signature: toBase64url(given.response.signature),
        },
      },
    });
    await show(value);
    thank(verb);
  } catch (error) {
    if (error instanceof Altered) find("proposal").hidden = true;
    complainOfPasskey(error);
  } finally {
    control.disabled = false;
  }
}

function thank(verb) {
  const note = element("p", { className: "thanks", tabIndex: -1 }, both(...VERBS[verb].thanks));
  find("standing").prepend(note);
  note.focus();
}

async function refresh() {
  if (document.hidden) return;
  try {
    const value = await ask(`/api/proposals/${DIGEST}`);
    const digest = await check(value.text);
    showStanding(value, digest);
  } catch {
    // The page keeps what it has shown; the next round, or a decision, will tell.
  }
}

start();
