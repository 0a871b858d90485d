// Small things of every page: leave no double submission, ask before what cannot be taken back.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = button.dataset.done;
  });
}

// On a telephone a row of a list is a block of its own, each cell under its head (style.css, "stacks").
for (const table of document.querySelectorAll("table.list")) {
  const heads = [...table.querySelectorAll("thead th")].map(head => head.textContent.trim());
  const rows = [...table.querySelectorAll("tbody tr")];
  if (!heads.length || rows.some(row => row.cells.length !== heads.length)) continue;
  table.classList.add("stacks");
  table.setAttribute("role", "table"); // which a browser forgets of a table that is laid out as blocks
  for (const head of table.querySelectorAll("thead th")) head.setAttribute("role", "columnheader");
  for (const row of table.querySelectorAll("tr")) row.setAttribute("role", "row");
  for (const row of rows) for (const [at, cell] of [...row.cells].entries()) {
    cell.dataset.label = heads[at];
    cell.setAttribute("role", cell.tagName === "TH" ? "rowheader" : "cell");
  }
}
