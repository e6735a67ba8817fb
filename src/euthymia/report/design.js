// The front to explore: the regimen that is pointed at, or chosen by keyboard, with its numbers and its course.
(() => {
  "use strict";
  const { days, heads, regimens, usual, chosen, score } = JSON.parse(document.getElementById("data").textContent);
  const NS = "http://www.w3.org/2000/svg";
  const LEFT = 30, RIGHT = 8, TOP = 8, BOTTOM = 22, HEIGHT = 170, NEAR = 26; // px
  const ends = regimens.flatMap(({ curve }) => (curve ? [...curve.low, ...curve.high] : []));
  const lowest = 10 * Math.floor(Math.min(...ends) / 10), highest = 10 * Math.ceil(Math.max(...ends) / 10);
  const find = (id) => document.getElementById(id);
  const select = find("pointed"), chart = find("pointed-chart");
  let shown = chosen;

  const svg = (name, attributes, ...children) => {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const element = (name, ...children) => {
    const made = document.createElement(name);
    made.append(...children);
    return made;
  };

  const draw = () => {
    const width = chart.clientWidth;
    if (!width) return;
    const x = (day) => LEFT + (day / days[days.length - 1]) * (width - LEFT - RIGHT);
    const y = (value) => TOP + ((highest - value) / (highest - lowest)) * (HEIGHT - TOP - BOTTOM);
    const at = (values) => values.map((value, k) => `${x(days[k]).toFixed(1)} ${y(value).toFixed(1)}`);
    const root = svg("svg", { width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}`, "aria-hidden": "true" });
    for (let value = lowest; value <= highest; value += 10) {
      root.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
      root.append(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)));
    }
    const last = days[days.length - 1];
    for (const [day, anchor, text] of [[0, "start", "day 0"], [last, "end", `day ${last}`]]) {
      root.append(svg("text", { x: x(day), y: HEIGHT - 6, "text-anchor": anchor }, text));
    }
    const said = [];
    for (const [k, kind, who] of [[usual, "usual", "protocol as it stands"], [shown, "this", regimens[shown].name]]) {
      const curve = k === null || (kind === "usual" && k === shown) ? null : regimens[k].curve;
      if (!curve) continue;
      root.append(svg("path", { class: `band ${kind}`, d: `M${at(curve.high).join("L")}L${at(curve.low).reverse().join("L")}Z` }));
      root.append(svg("path", { class: `line ${kind}`, d: `M${at(curve.mid).join("L")}` }));
      said.unshift(`${who}: ${curve.mid[0]} at first, ${curve.mid[curve.mid.length - 1]} at the end`);
    }
    chart.replaceChildren(root);
    chart.setAttribute("aria-label", `${score} by day. ${said.join("; ") || "No course was kept of this regimen"}.`);
  };

  const ring = () => {
    for (const place of document.querySelectorAll(".front svg")) {
      place.querySelector(".ring")?.remove();
      const mark = place.querySelectorAll(".layer_1_marks path")[shown];
      mark?.parentNode.append(svg("circle", { class: "ring", r: 10, transform: mark.getAttribute("transform") }));
    }
  };

  const show = (k) => {
    shown = k;
    const { name, what, numbers } = regimens[k];
    select.value = String(k);
    find("pointed-name").textContent = `${name} (${what})`;
    find("pointed-numbers").replaceChildren(...heads.flatMap((head, i) => [element("dt", head), element("dd", numbers[i])]));
    ring();
    draw();
  };

  // where the points of a picture are, in its own pixels, while it keeps its width
  const seen = new Map();
  const points = (place) => {
    const width = place.clientWidth;
    if (seen.get(place)?.width !== width) {
      const marks = [...place.querySelectorAll(".layer_1_marks path")];
      seen.set(place, { width, at: marks.map((mark) => { const { e, f } = mark.getCTM(); return [e, f]; }) });
    }
    return seen.get(place).at;
  };
  const point = (event) => {
    const place = event.target.closest?.(".front svg");
    if (!place) return;
    const { left, top } = place.getBoundingClientRect();
    let best = null, least = NEAR;
    points(place).forEach(([x, y], k) => {
      // of points upon each other, the one on the front
      const far = Math.hypot(event.clientX - left - x, event.clientY - top - y) - (regimens[k].front ? 0.01 : 0);
      if (far < least) [best, least] = [k, far];
    });
    if (best !== null && best !== shown) show(best);
  };

  find("explore").hidden = false;
  select.addEventListener("change", () => show(Number(select.value)));
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  window.addEventListener("resize", draw);
  show(chosen);
  document.documentElement.dataset.charts = "1";
})();
