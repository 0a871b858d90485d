import {
  ask, both, calm, complain, complainOfPasskey, element, find, leadTo, Problem, showFacts, showWords, startLanguage, toBase64url,
  toBytes, toHex, sha256, visible, wordsOf,
} from "/static/common.js";

const [, kind, key] = location.pathname.split("/");

async function start() {
  startLanguage();
  find("make-button").addEventListener("click", make);
  find("confirm").addEventListener("submit", confirm);
  try {
    if (kind === "enrol") showInvitation(await ask(`/api/invitations/${key}`));
    else await showCandidate(await ask(`/api/candidates/${key}`));
  } catch (error) {
    if (error instanceof Problem && (error.status === 403 || error.status === 404)) {
      complain(
        "This link was used, is too old, or never was. Ask an officer, or the person at the console, for a new one.",
        "此链接已使用、已过期或不存在。请向安全官或控制台人员索取新的链接。",
      );
    } else {
      complainOfPasskey(error);
    }
  }
}

let options = null;

function greet(name) {
  find("greeting").replaceChildren(both(`Welcome, ${visible(name)}`, `您好，${visible(name)}`));
}

function step(name) {
  find("way").hidden = false;
  const steps = ["make", "compare", "done"];
  for (const one of steps) {
    find(one).hidden = one !== name;
    const item = find(`way-${one}`);
    item.className = steps.indexOf(one) < steps.indexOf(name) || name === "done" ? "past" : "";
    if (one === name && name !== "done") item.setAttribute("aria-current", "step");
    else item.removeAttribute("aria-current");
  }
}

function showInvitation(invitation) {
  options = invitation.options;
  greet(invitation.name);
  step("make");
}

async function make() {
  calm();
  const button = find("make-button");
  button.disabled = true;
  try {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        user: { ...options.user, id: toBytes(options.user.id) },
        excludeCredentials: options.excludeCredentials.map((one) => ({ ...one, id: toBytes(one.id) })),
      },
    });
    const candidate = await ask(`/api/invitations/${key}/passkey`, {
      id: made.id,
      rawId: toBase64url(made.rawId),
      type: made.type,
      response: {
        clientDataJSON: toBase64url(made.response.clientDataJSON),
        attestationObject: toBase64url(made.response.attestationObject),
      },
    });
    await checkFingerprint(made, candidate);
    // The link is used up: the page goes on under the candidate's own address, so that it can be loaded again.
    location.replace(`/candidates/${candidate.id}`);
  } catch (error) {
    complainOfPasskey(error);
  } finally {
    button.disabled = false;
  }
}

/** The words are of the key that this browser was given, not of one that the box names: the end of the authenticator
 *  data is the COSE key (and extensions), so its SHA-256 must be the fingerprint of some prefix of what follows the id. */
async function checkFingerprint(made, candidate) {
  const data = new Uint8Array(made.response.getAuthenticatorData());
  const length = data[53] * 256 + data[54];
  const rest = data.slice(55 + length);
  for (let end = rest.length; end >= 32; end -= 1) {
    if (toHex(await sha256(rest.slice(0, end))) === candidate.fingerprint) return;
    if ((data[32] & 0x80) === 0) break;
  }
  throw new Error("The box answered with another key than this passkey's. Stop, and tell the person at the console.");
}

async function showCandidate(candidate) {
  greet(candidate.name);
  showWords(find("words"), await wordsOf(Uint8Array.from(candidate.fingerprint.match(/../g), (pair) => parseInt(pair, 16))));
  showFacts(find("facts-list"), [
    [both("Person", "人员"), visible(candidate.person)],
    [both("Authenticator model", "认证器型号"), element("code", {}, visible(candidate.model))],
    [
      both("Copies", "复制"),
      candidate.copies ? both("may be copied to other devices", "可复制到其他设备") : both("stays on its device", "仅存于该设备"),
    ],
    [both("Public key, SHA-256", "公钥 SHA-256"), element("code", {}, candidate.fingerprint)],
  ]);
  find("facts").hidden = false;
  if (candidate.state !== "confirmed") {
    step("compare");
    return;
  }
  step("done");
  find("next").replaceChildren(
    candidate.officer
      ? both("You are an officer of this box. Proposals that wait for you reach you by their links.", "您已是本设备的安全官。待您处理的提案会以链接形式送达。")
      : both(
          "Next: the constitution must name you. At a first founding the person at the console does that now; later, other officers propose it and you accept it by the link of their proposal. You can close this page.",
          "下一步：章程须列入您的名字。首次建立时由控制台人员完成；之后由其他安全官提出，您通过提案链接接受。现在可以关闭本页。",
        ),
  );
  leadTo(find("management"), candidate.management);
  find("done-title").focus();
}

async function confirm(event) {
  event.preventDefault();
  calm();
  const code = find("code").value.replace(/\D/g, "");
  if (code.length !== 8) {
    complain("The code has eight digits.", "验证码为八位数字。");
    find("code").focus();
    return;
  }
  try {
    await showCandidate(await ask(`/api/candidates/${key}/confirmation`, { code }));
  } catch (error) {
    if (error instanceof Problem && error.code === "code-refused") {
      complain(
        "That is not the code, or it is too old, or was tried too often. Ask the person at the console to show a new one.",
        "验证码不正确、已过期或尝试次数过多。请控制台人员显示新的验证码。",
      );
      find("code").select();
    } else {
      complainOfPasskey(error);
    }
  }
}

start();
