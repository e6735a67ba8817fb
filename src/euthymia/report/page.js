(() => {
  "use strict";
  const { charts, config, labels } = JSON.parse(document.getElementById("data").textContent);
  const views = {};
  const state = { shown: labels, who: "" };
  // ast: expressions are interpreted, never evaluated as code, so that the page's security policy can forbid eval
  const options = { renderer: "svg", actions: false, ast: true, config };

  // Individuals arrive compact (times once per protocol); rows are made only when a reader asks.
  const individuals = (id) => {
    const rows = [];
    for (const [p, { t, v }] of Object.entries(charts[id].lone)) {
      v.forEach((values, i) => {
        if (state.who !== "all" && Number(state.who) !== i) return;
        values.forEach((q50, k) => rows.push({ p, i, t: t[k], q50 }));
      });
    }
    return rows;
  };

  const alone = () => state.who !== "" && state.who !== "all";
  const withLines = (id) => "individuals" in charts[id].spec.datasets;

  const update = (id) => {
    const view = views[id];
    view.signal("shown", state.shown).signal("alone", alone());
    if (withLines(id)) view.data("individuals", state.who === "" ? [] : individuals(id));
    return view.runAsync();
  };

  // In the chain, the head of the column names the time axis for all charts below it.
  const onPage = (figure, spec) => {
    if (!figure.closest(".chain")) return spec;
    const layer = spec.layer.map((l) => ({ ...l, encoding: { ...l.encoding, x: { ...l.encoding.x, title: null } } }));
    return { ...spec, layer };
  };

  // The same chart for a slide: with its title, its legend and a fixed size.
  const portrait = (id) => {
    const spec = structuredClone(charts[id].spec);
    spec.title = { text: charts[id].title, offset: 24 };
    spec.width = 760;
    spec.height = Math.max(spec.height, 260);
    spec.autosize = "pad";
    spec.padding = 16;
    const now = { shown: state.shown, alone: alone() };
    for (const param of spec.params) param.value = now[param.name];
    if (withLines(id) && state.who !== "") spec.datasets.individuals = individuals(id);
    const symbolType = spec.layer.some((l) => l.encoding?.strokeDash) ? "stroke" : "circle";
    if (!id.startsWith("dots-")) {
      for (const { encoding } of spec.layer) {
        for (const channel of [encoding?.color, encoding?.strokeDash]) {
          if (channel?.field === "p") channel.legend = { title: null, symbolOpacity: 1, symbolType, symbolSize: symbolType === "circle" ? 90 : 220 };
        }
      }
    }
    return spec;
  };

  const download = (name, href) => {
    const link = document.createElement("a");
    link.download = name;
    link.href = href;
    link.click();
  };

  const csv = (id) => {
    const sets = Object.values(charts[id].spec.datasets);
    const rows = sets.reduce((most, rows) => (rows.length > most.length ? rows : most), []);
    const names = { p: "protocol", t: "axis", at: "time", q05: "5 %", q25: "25 %", q50: "median", q75: "75 %", q95: "95 %",
      v: "value", c: "interval contains" };
    const columns = [...new Set(rows.flatMap(Object.keys))];
    const quoted = (x) => `"${String(x ?? "").replaceAll('"', '""')}"`;
    const lines = [columns.map((c) => names[c] ?? c), ...rows.map((r) => columns.map((c) => r[c]))];
    return lines.map((l) => l.map(quoted).join(",")).join("\r\n") + "\r\n";
  };

  const save = async (id, kind) => {
    if (kind === "csv") {
      const url = URL.createObjectURL(new Blob([csv(id)], { type: "text/csv" }));
      download(`${id}.csv`, url);
      setTimeout(() => URL.revokeObjectURL(url), 1000);
      return;
    }
    const place = document.createElement("div");
    place.className = "offstage";
    document.body.append(place);
    const { view, finalize } = await vegaEmbed(place, portrait(id), options);
    download(`${id}.${kind}`, await view.toImageURL(kind, 2));
    finalize();
    place.remove();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-save]");
    if (button) save(button.closest("figure").dataset.chart, button.dataset.save);
  });

  const boxes = [...document.querySelectorAll("input[name=shown]")];
  const who = document.getElementById("who");
  document.addEventListener("change", (event) => {
    if (!event.target.closest(".controls")) return;
    state.shown = boxes.length ? boxes.filter((b) => b.checked).map((b) => b.value) : labels;
    state.who = who.value;
    Object.keys(views).forEach(update);
  });

  // Charts take their printed size before the page goes to paper, instead of being shrunk with their letters.
  const fit = () => {
    for (const [id, view] of Object.entries(views)) {
      const place = document.querySelector(`figure[data-chart="${id}"] .chart`);
      view.signal("width", place.clientWidth - 12).run();
    }
  };
  window.addEventListener("beforeprint", () => {
    document.documentElement.classList.add("paper");
    fit();
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.classList.remove("paper");
    window.dispatchEvent(new Event("resize"));
  });

  (async () => {
    for (const figure of document.querySelectorAll("figure[data-chart]")) {
      const id = figure.dataset.chart;
      try {
        views[id] = (await vegaEmbed(figure.querySelector(".chart"), onPage(figure, charts[id].spec), options)).view;
        if (state.who !== "" || state.shown.length !== labels.length) await update(id);
      } catch (error) {
        figure.querySelector(".chart").textContent = "This chart could not be drawn; its numbers are below.";
        console.error(id, error);
      }
    }
    document.documentElement.dataset.charts = String(Object.keys(views).length);
  })();
})();
