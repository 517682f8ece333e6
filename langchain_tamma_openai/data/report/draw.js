(() => {
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const root = document.documentElement;
  const wantsDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : wantsDark.matches;
  const config = () => {
    const css = getComputedStyle(root);
    const text = css.getPropertyValue("--text").trim();
    const quiet = css.getPropertyValue("--quiet").trim();
    const line = css.getPropertyValue("--line").trim();
    return {
      background: "transparent",
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: { labelColor: quiet, titleColor: quiet, gridColor: line, domainColor: line, tickColor: line, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" },
      legend: { labelColor: text, titleColor: quiet, labelFontSize: 12, symbolType: "square" },
      text: { color: text },
    };
  };
  const draw = () => Promise.all([...document.querySelectorAll("[data-chart]")].map((place) => {
    const spec = { ...specs[place.dataset.chart], width: "container", autosize: { type: "fit-x", contains: "padding" } };
    delete spec.config;
    const options = { renderer: "svg", actions: false, config: config(), tooltip: { theme: "custom" } };
    return vegaEmbed(place, spec, options);
  })).then(() => { root.dataset.drawn = isDark() ? "dark" : "light"; });
  draw().catch((error) => console.error(error));
  wantsDark.addEventListener("change", draw);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    draw();
  });
})();
