// Keeps a page's numbers fresh: asks its JSON every few seconds, writes text, draws the charts. Never HTML.
const WIDTH = 600;
const HEIGHT = 150;

export function paths(values) {
  if (values.length < 2) return { line: "", area: "" };
  const highest = Math.max(...values, 1);
  const points = values.map((value, at) => {
    const x = (at / (values.length - 1)) * WIDTH;
    const y = HEIGHT - 4 - (value / highest) * (HEIGHT - 14);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  const line = `M${points.join("L")}`;
  return { line, area: `${line}L${WIDTH},${HEIGHT}L0,${HEIGHT}Z` };
}

function draw(chart, values) {
  const { line, area } = paths(values);
  chart.querySelector(".line").setAttribute("d", line);
  chart.querySelector(".area").setAttribute("d", area);
}

const find = (data, path) => path.split(".").reduce((at, part) => at?.[part], data);
const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });

function show(root, data) {
  for (const element of root.querySelectorAll("[data-value]")) {
    const value = find(data, element.dataset.value);
    if (typeof value !== "number") continue;
    if (element instanceof HTMLProgressElement) element.value = value;
    else if (element.dataset.as === "gigabytes") element.firstChild.textContent = `${number.format(value / 2 ** 30)} `;
    else element.textContent = number.format(value);
  }
  const charts = data.traffic?.charts;
  if (!charts) return;
  for (const chart of root.querySelectorAll("[data-chart]")) {
    const values = charts[chart.dataset.chart];
    draw(chart, values);
    if (!values.length) continue;
    root.querySelector(`[data-latest="${chart.dataset.chart}"]`).textContent = number.format(values.at(-1));
    root.querySelector(`[data-highest="${chart.dataset.chart}"]`).textContent = number.format(Math.max(...values));
  }
}

for (const root of document.querySelectorAll("[data-live]")) {
  for (const chart of root.querySelectorAll("[data-chart]")) {
    draw(chart, chart.dataset.values.split(" ").filter(Boolean).map(Number));
  }
  const stale = root.querySelector("[data-stale]");
  const ask = async () => {
    if (!document.hidden) {
      try {
        const answer = await fetch(root.dataset.live, { headers: { Accept: "application/json" } });
        if (answer.status === 401) window.location.reload();
        if (!answer.ok) throw new Error(answer.statusText);
        const data = await answer.json();
        // What changes the page itself, such as another state, is drawn anew by the service.
        if (data.version !== root.dataset.known) window.location.reload();
        show(root, data);
        if (stale) stale.hidden = true;
      } catch {
        if (stale) stale.hidden = false;
      }
    }
    setTimeout(ask, Number(root.dataset.every));
  };
  setTimeout(ask, Number(root.dataset.every));
}
