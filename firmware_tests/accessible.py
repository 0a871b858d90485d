# ruff: noqa: E501 (scripts for the browser)
"""WCAG 2.2 AA as far as a machine can tell, asked in the page itself: names, structure, contrast, focus, targets, reflow.

What stands here is measured on the page as the browser has laid it out. axe-core (MPL 2.0) asks more; it is not part of
this project, and is asked too where somebody has put it: `mkdir -p var/axe && cd var/axe && npm pack axe-core && tar xzf
axe-core-*.tgz`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

AXE = Path(__file__).resolve().parents[1] / "var" / "axe" / "package" / "axe.min.js"
NARROW = 320
"""CSS pixels that a page must do with, without scrolling both ways (criterion 1.4.10)."""
STOPS = 60
"""Stops of the Tab key that are looked at."""

_FINDINGS = r"""() => {
  const found = [];
  const say = (what, one) => found.push(what + ": " + (one ? one.outerHTML.slice(0, 140) : ""));
  const seen = one => one.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && one.getClientRects().length > 0 && !one.closest("details:not([open]) > :not(summary)");
  const hidden = one => { const box = one.getBoundingClientRect(); return box.width <= 1 || box.height <= 1
    || box.right < 0; };
  const all = query => [...document.querySelectorAll(query)].filter(seen);
  const textOf = id => (document.getElementById(id) || {textContent: ""}).textContent.trim();
  const nameOf = one => (one.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map(textOf).join(" ")
    || one.getAttribute("aria-label")
    || [...(one.labels || [])].map(label => label.textContent.trim()).join(" ")
    || (["A", "BUTTON", "SUMMARY"].includes(one.tagName) ? one.innerText.trim() || one.textContent.trim() : "")
    || [...one.querySelectorAll("img[alt]")].map(image => image.alt).join(" ");

  // 3.1.1, 2.4.2
  if (!/^(en|zh-Hans)/.test(document.documentElement.lang)) say("no language", document.documentElement);
  if (!document.title.trim()) say("no title");
  // 1.3.1, 2.4.6: structure
  if (all("main").length !== 1) say("not one main");
  if (all("h1").length !== 1) say("not one h1, but " + all("h1").length);
  let level = 0;
  for (const heading of all("h1, h2, h3, h4, h5, h6")) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say("a heading level is left out", heading);
    if (!heading.textContent.trim()) say("an empty heading", heading);
    level = next;
  }
  for (const list of all("ul, ol")) for (const child of list.children)
    if (!["LI", "SCRIPT", "TEMPLATE"].includes(child.tagName)) say("a list with what is no item", list);
  for (const table of all("table")) if (!table.querySelector("th")) say("a table without heads", table);
  for (const cell of all("th")) if (!cell.textContent.trim()) say("an empty head", cell);
  const landmarks = all("nav");
  if (landmarks.length > 1) for (const one of landmarks) if (!nameOf(one)) say("one of many navs without name", one);
  // 4.1.2, 3.3.2, 1.1.1: names
  for (const one of all("a[href], button, summary, input:not([type=hidden]), select, textarea, fieldset"))
    if (one.tagName === "FIELDSET" ? !one.querySelector(":scope > legend") : !nameOf(one)) say("no name", one);
  for (const one of all("img, svg")) if (one.tagName === "IMG" ? one.alt === null || !one.hasAttribute("alt")
    : !one.closest("[aria-hidden=true]") && !one.hasAttribute("aria-hidden") && !nameOf(one)) say("no text instead", one);
  const ids = new Map();
  for (const one of document.querySelectorAll("[id]")) ids.set(one.id, (ids.get(one.id) || 0) + 1);
  for (const [id, count] of ids) if (count > 1) say("an id twice: " + id);
  for (const one of document.querySelectorAll("[aria-describedby], [aria-labelledby], label[for]"))
    for (const id of ((one.getAttribute("aria-describedby") || "") + " " + (one.getAttribute("aria-labelledby") || "") + " "
      + (one.getAttribute("for") || "")).split(/\s+/).filter(Boolean)) if (!ids.has(id)) say("points at nothing", one);
  // 1.4.3: contrast
  const parsed = colour => { const parts = colour.match(/[\d.]+/g).map(Number);
    return parts.length > 3 ? parts : [...parts, 1]; };
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const over = (top, under) => top.slice(0, 3).map((v, at) => v * top[3] + under[at] * (1 - top[3]));
  const ground = one => {
    const layers = [];
    for (let at = one; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0) { layers.push(colour); if (colour[3] === 1) break; }
    }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const asked = new Set();
  for (let node; (node = walker.nextNode());) {
    const one = node.parentElement;
    if (!node.textContent.trim() || asked.has(one) || !seen(one) || hidden(one) || one.closest("[disabled], noscript")) continue;
    asked.add(one);
    const style = getComputedStyle(one), size = parseFloat(style.fontSize);
    const under = ground(one), text = over(parsed(style.color), under);
    const [a, b] = [light(text), light(under)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const least = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < least) say(`contrast ${ratio.toFixed(2)} of ${style.color} on ${under.map(Math.round)}`, one);
  }
  // 1.4.11: edges of what is typed into
  for (const one of all("input:not([type=hidden], [type=checkbox], [type=radio]), select, textarea")) {
    const [a, b] = [light(parsed(getComputedStyle(one).borderTopColor)), light(ground(one.parentElement))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 3) say("an edge that cannot be seen", one);
  }
  // 2.5.8: targets, but for links in sentences
  for (const one of all("a[href], button, summary, input:not([type=hidden]), select")) {
    if (hidden(one)) continue;
    const inline = one.tagName === "A" && getComputedStyle(one).display === "inline";
    const target = one.labels && one.labels.length && ["checkbox", "radio"].includes(one.type) ? one.labels[0] : one;
    const box = target.getBoundingClientRect();
    if (!inline && (box.width < 24 || box.height < 24)) say(`a target of ${box.width.toFixed(0)} by ${box.height.toFixed(0)}`, one);
  }
  return found;
}"""

_FOCUS = r"""() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const shown = (parseFloat(style.outlineWidth) >= 2 && style.outlineStyle !== "none") || style.boxShadow !== "none";
  const inside = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  return {shown, inside, html: one.outerHTML.slice(0, 140)};
}"""

_AXE = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
  "best-practice"]})).violations.map(one => one.id + ": " + one.nodes.map(node => node.html.slice(0, 140)).join(" | "))"""


def findings(page: Page, *, scheme: Literal["light", "dark"] = "light") -> list[str]:
    """What is wrong with the page as it is now; nothing, one hopes."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    found: list[str] = list(page.evaluate(_FINDINGS))
    if AXE.exists():
        if not page.evaluate("typeof axe === 'object'"):
            page.context.new_cdp_session(page).send("Runtime.evaluate", {"expression": AXE.read_text()})
        found += [f"axe {one}" for one in page.evaluate(_AXE)]
    return found


def lost_focus(page: Page) -> list[str]:
    """Stops of the Tab key at which nobody sees where she is (criteria 2.4.7, 2.4.11)."""
    page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
    lost: list[str] = []
    for _ in range(STOPS):
        page.keyboard.press("Tab")
        at: dict[str, Any] | None = page.evaluate(_FOCUS)
        if at is None:
            break
        if not (at["shown"] and at["inside"]):
            lost.append(at["html"])
    return lost


def sticks_out(page: Page) -> list[str]:
    """What does not reflow on the narrowest screen."""
    size = page.viewport_size
    page.set_viewport_size({"width": NARROW, "height": 800})
    wide = page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')].filter(one =>"
        " one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 140))"
    )
    if size is not None:
        page.set_viewport_size(size)
    return list(wide)
