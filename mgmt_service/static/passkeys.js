// Passkeys: fetch the options, let the browser ask the person, send what it gives. Decides nothing.
const bytes = (text) => {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
};
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const withIds = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function post(path, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const token = document.body.dataset.csrf;
  if (token) headers["X-CSRF-Token"] = token;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "same-origin" });
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.detail ?? content.title);
  return content;
}

async function create(options) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: withIds(options.excludeCredentials),
    },
  });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      clientDataJSON: text(made.response.clientDataJSON),
      attestationObject: text(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}

async function get(options) {
  const shown = await navigator.credentials.get({
    publicKey: { ...options, challenge: bytes(options.challenge), allowCredentials: withIds(options.allowCredentials) },
  });
  const response = {
    clientDataJSON: text(shown.response.clientDataJSON),
    authenticatorData: text(shown.response.authenticatorData),
    signature: text(shown.response.signature),
  };
  if (shown.response.userHandle) response.userHandle = text(shown.response.userHandle);
  return { id: shown.id, rawId: text(shown.rawId), type: shown.type, response };
}

for (const form of document.querySelectorAll("form[data-passkey]")) {
  const problem = form.querySelector("[data-problem]");
  const button = form.querySelector("button");
  const say = (sentence) => {
    problem.textContent = sentence;
    problem.hidden = false;
    button.disabled = false;
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!navigator.credentials) return say(problem.dataset.old);
    button.disabled = true;
    problem.hidden = true;
    try {
      const { options } = await post(form.dataset.options, {});
      const body = { credential: form.dataset.passkey === "create" ? await create(options) : await get(options) };
      if (form.dataset.passkey === "create") body.label = form.elements.label?.value ?? "";
      else body.next = form.dataset.next;
      const { next } = await post(form.dataset.answer, body);
      window.location.assign(next);
    } catch (error) {
      say(error instanceof DOMException ? problem.dataset.none : error.message);
    }
  });
}
