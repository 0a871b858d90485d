import {
  ask, both, calm, complain, complainOfPasskey, element, find, leadTo, Problem, sha256, showWords, startLanguage,
  toBase64url, toBytes, toHex, visible, wordsOf,
} from "/static/common.js";

const DIGEST = location.pathname.split("/")[2];
const STATES = {
  open: ["Approvals are missing", "尚缺审批"],
  complete: ["Approved", "审批已齐"],
  stale: ["It will not happen any more", "不会再发生"],
};
const NEXT = {
  open: ["It waits for approvals.", "等待审批。"],
  complete: ["All approvals are there. The application that asked for it can have it happen.", "审批已齐，提出请求的应用可使其发生。"],
  stale: ["The letter, or its kind, is another one by now. The application must ask anew.", "函件或其种类已有变动，应用须重新提出。"],
};

class Altered extends Error {}

async function start() {
  startLanguage();
  try {
    await show(await ask(`/api/drafts/${DIGEST}`));
  } catch (error) {
    if (error instanceof Problem && error.status === 404) {
      complain("The box has no such draft. It has expired, has happened, or the link is another one.", "设备上没有此草稿：已过期、已发生，或链接有误。");
    } else if (error instanceof Altered) {
      complain(
        "Do not sign. The text that arrived is not the one that this address names: something between you and the box has changed it. Close this page and tell whoever runs the box.",
        "请勿签署。收到的内容与本地址所指的草稿不符：您与设备之间有人篡改了内容。请关闭本页并告知设备管理员。",
      );
    } else {
      complainOfPasskey(error);
    }
  }
}

/** A draft is signed only if it has the digest that the address names; what is signed is the step's heading and it. */
async function show(value) {
  showStanding(value);
  if (!value.text) return;
  const encoder = new TextEncoder();
  if (toHex(await sha256(encoder.encode(value.text))) !== DIGEST) throw new Altered();
  const text = value.needed.find((one) => one.step === value.step).heading + value.text;
  const digest = await sha256(encoder.encode(text));
  const told = await ask("/api/draft-words", { text, disclosures: value.disclosures });
  find("mode").hidden = !told.rehearsal;
  find("says").replaceChildren(...told.en.map((line, index) => element("p", {}, both(line, told["zh-Hans"][index]))).filter((one) => one.textContent));
  showWords(find("words"), await wordsOf(digest));
  find("digest").textContent = toHex(digest);
  find("members").textContent = visible(text);
  leadTo(find("management"), told.management);
  const usable = value.signers.filter((one) => one.passkeys.length);
  find("choices").replaceChildren(...(usable.length ? [button(value, usable, digest)] : []));
  find("cards").hidden = !value.signers.some((one) => one.cards);
  find("cards").replaceChildren(
    both(
      "Approvers with cards sign without this page: the work list gives draft.json and the command.",
      "使用智能卡的审批人不在此页签署：待办列表提供 draft.json 与命令。",
    ),
  );
  find("decide").hidden = !value.signers.length;
  find("draft").hidden = false;
}

function showStanding(value) {
  const box = find("standing");
  box.className = `card ${value.state === "complete" ? "approved" : value.state === "stale" ? "expired" : ""}`;
  box.replaceChildren(
    element("p", { className: "state" }, both(...STATES[value.state])),
    element("p", {}, both(...NEXT[value.state])),
    ...value.needed.map((step) => {
      const signed = value.approved.filter((one) => one.step === step.step).map((one) => visible(one.approver));
      return element(
        "p",
        { className: "meter" },
        both(
          `Step ${step.step + 1}, ${policyOf(step, "above the limit", ", ")}: ${signed.length} of ${step.approvals}${signed.length ? ` (${signed.join(", ")})` : ""}`,
          `第 ${step.step + 1} 步，${policyOf(step, "超出限额", "、")}：已有 ${signed.length} / ${step.approvals}${signed.length ? `（${signed.join("、")}）` : ""}`,
        ),
      );
    }),
  );
  box.hidden = false;
}

function policyOf(step, above, comma) {
  const limits = step.limits.map((one) => visible(one)).join(comma);
  return visible(step.policy) + (limits ? ` (${above} ${limits})` : "");
}

function button(value, usable, digest) {
  const made = element("button", { type: "button", className: "main" }, both("Approve", "批准"));
  made.addEventListener("click", () => sign(value, usable, digest, made));
  const list = usable.map((one) => visible(one.id));
  return element("div", { className: "choice" }, made, element("p", { className: "soft" }, both(`By passkey of: ${list.join(", ")}`, `可用通行密钥：${list.join("、")}`)));
}

async function sign(value, usable, digest, control) {
  calm();
  control.disabled = true;
  try {
    const given = await navigator.credentials.get({
      publicKey: {
        challenge: digest,
        rpId: value.rp_id,
        userVerification: "required",
        timeout: 300000,
        allowCredentials: usable.flatMap((one) => one.passkeys.map((id) => ({ type: "public-key", id: toBytes(id) }))),
      },
    });
    const after = await ask(`/api/drafts/${DIGEST}/passkey`, {
      id: given.id,
      response: {
        authenticatorData: toBase64url(given.response.authenticatorData),
        clientDataJSON: toBase64url(given.response.clientDataJSON),
        signature: toBase64url(given.response.signature),
      },
    });
    find("decide").hidden = true;
    await show(after);
    const note = element("p", { className: "thanks", tabIndex: -1 }, both("Your approval is kept with the draft. You can close this page.", "您的审批已随草稿保存。可以关闭本页。"));
    find("standing").prepend(note);
    note.focus();
  } catch (error) {
    if (error instanceof Altered) find("draft").hidden = true;
    complainOfPasskey(error);
  } finally {
    control.disabled = false;
  }
}

start();
