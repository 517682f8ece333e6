// Draws the charts of the page, in the colours of the moment, and keeps a live page up to date.
"use strict";
(() => {
  const root = document.documentElement;
  const held = JSON.parse(document.getElementById("charts").textContent);
  const drawn = new Map();
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const modes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const tip = document.getElementById("tip");

  const stored = () => { try { return localStorage.getItem("tamma-theme"); } catch { return null; } };
  const store = (mode) => { try { localStorage.setItem("tamma-theme", mode); } catch { /* a file without storage */ } };
  let mode = modes.includes(stored()) ? stored() : "auto";
  const isDark = () => (mode === "auto" ? prefersDark.matches : mode === "dark");

  // A tooltip of plain text: what it shows came from outside.
  function showTip(_handler, event, _item, value) {
    if (value === null || value === undefined || value === "") { tip.hidden = true; return; }
    tip.replaceChildren(...Object.entries(value).map(([name, text]) => {
      const line = document.createElement("div");
      const head = document.createElement("b");
      head.textContent = `${name}: `;
      line.append(head, String(text));
      return line;
    }));
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, innerWidth - box.width - 8);
    const above = event.clientY + 14 + box.height > innerHeight;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above ? Math.max(8, event.clientY - box.height - 10) : event.clientY + 14}px`;
  }

  async function draw(id) {
    const place = document.getElementById(`chart-${id}`);
    if (!place) return;
    const theme = held.themes[isDark() ? "dark" : "light"];
    const spec = { ...held.charts[id], params: theme.params };
    drawn.get(id)?.finalize();
    const found = await vegaEmbed(place, spec, {
      actions: false, ast: true, config: theme.config, defaultStyle: false, renderer: "svg", tooltip: showTip,
    });
    drawn.set(id, found);
    // Columns of the legend follow from the width, which is known after a first layout.
    await found.view.resize().runAsync();
    // The chart is one image to those who do not see it; the table behind it has the numbers.
    place.querySelector("svg")?.setAttribute("aria-hidden", "true");
  }

  async function drawAll() {
    root.dataset.drawn = "no";
    for (const id of Object.keys(held.charts)) await draw(id);
    root.dataset.drawn = "yes";
  }

  function showMode() {
    if (mode === "auto") delete root.dataset.theme; else root.dataset.theme = mode;
    button.textContent = `Theme: ${mode}`;
  }

  button.addEventListener("click", () => {
    mode = modes[(modes.indexOf(mode) + 1) % modes.length];
    store(mode);
    showMode();
    drawAll();
  });
  prefersDark.addEventListener("change", () => { if (mode === "auto") drawAll(); });
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { for (const { view } of drawn.values()) view.resize().runAsync(); }, 150);
  });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

  // Live pages only: parts and charts that changed are put in place, the others stay untouched.
  function replace(id, markup) {
    const place = document.getElementById(id);
    if (!place || held.parts[id] === markup) return;
    held.parts[id] = markup;
    const before = new Map([...place.querySelectorAll("[data-figure]")].map((e) => [e.dataset.figure, e.dataset.value]));
    place.innerHTML = markup;
    for (const element of place.querySelectorAll("[data-figure]")) {
      if (before.get(element.dataset.figure) !== element.dataset.value) element.classList.add("changed");
    }
  }

  async function takeIn(news) {
    const known = Object.keys(held.charts), now = Object.keys(news.charts);
    if (known.join() !== now.join()) { location.reload(); return; }
    for (const [id, markup] of Object.entries(news.parts)) replace(id, markup);
    for (const id of now) {
      if (JSON.stringify(held.charts[id]) === JSON.stringify(news.charts[id])) continue;
      held.charts[id] = news.charts[id];
      await draw(id);
    }
  }

  function live(path, seconds) {
    const state = document.getElementById("live");
    let tag = held.tag;
    async function look() {
      try {
        const answer = await fetch(path, { headers: { "If-None-Match": tag }, cache: "no-store" });
        if (answer.status === 200) {
          await takeIn(await answer.json());
          tag = answer.headers.get("ETag");
        } else if (answer.status !== 304) {
          throw new Error(`HTTP ${answer.status}`);
        }
        state.textContent = `Live, every ${seconds} s; last look ${new Date().toLocaleTimeString()}`;
      } catch (error) {
        state.textContent = `Not up to date: ${error.message}. Trying again.`;
      }
      setTimeout(look, seconds * 1000);
    }
    setTimeout(look, seconds * 1000);
  }

  showMode();
  drawAll().then(() => { if (held.live) live(held.live.path, held.live.interval_s); });
})();
