// Charts as plain SVG, drawn at the width they are shown at.

const NS = "http://www.w3.org/2000/svg";
const LEFT = 34, RIGHT = 26, TOP = 14, BOTTOM = 30;
const STEP_WEEKS = { 12: 2, 26: 4, 52: 8 };

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function path(ys, x, y) {
  return ys.map((value, k) => `${k ? "L" : "M"}${x(k).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

function frame(where, { top, step, weeks }) {
  const width = where.clientWidth, height = where.clientHeight, days = 7 * weeks;
  const x = (day) => LEFT + (day / days) * (width - LEFT - RIGHT);
  const y = (value) => height - BOTTOM - (value / top) * (height - TOP - BOTTOM);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (let value = 0; value <= top; value += step) {
    root.append(svg("line", { class: value ? "grid" : "base", x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }));
    root.append(svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value));
  }
  const every = STEP_WEEKS[weeks] * (width < 420 ? 2 : 1);
  for (let week = 0; week <= weeks; week += every) {
    root.append(svg("text", { x: x(7 * week), y: height - 11, "text-anchor": "middle" }, week === 0 ? "week 0" : week));
  }
  return { root, x, y, width, height, days };
}

function inside(values, low, high) {
  return Math.min(high, Math.max(low, values));
}

// letters at the ends of lines, moved apart where they would overlap
function badges(root, ends, x, low, high) {
  const gap = 17;
  ends.sort((a, b) => a.y - b.y);
  ends.forEach((end, k) => { end.at = k ? Math.max(end.y, ends[k - 1].at + gap) : Math.max(end.y, low); });
  const over = ends.length ? ends[ends.length - 1].at - high : 0;
  if (over > 0) {
    for (let k = ends.length - 1, most = high; k >= 0; k--, most -= gap) ends[k].at = Math.min(ends[k].at, most);
  }
  for (const { at, slot, letter } of ends) {
    root.append(svg("g", { class: "badge" }, svg("circle", { class: `of-${slot}`, cx: x, cy: at, r: 8 }), svg("text", { x, y: at + 4 }, letter)));
  }
}

// series: { slot, letter, y, spread: [low, high] of patients or null, sure: [low, high] of y or null } by day, the one in front last;
// beyond: the week from which on no study goes, or null
export function lines(where, { series, top, step, weeks, limit, day, beyond }) {
  const { root, x, y, width, height, days } = frame(where, { top, step, weeks });
  const capped = (value) => y(inside(value, 0, top));
  if (beyond !== null) {
    const from = x(7 * beyond), wide = width - RIGHT - from;
    root.prepend(svg("rect", { class: "beyond", x: from, y: TOP - 6, width: wide, height: height - BOTTOM - TOP + 6 }));
    if (wide > 90) root.append(svg("text", { x: from + 5, y: TOP + 7 }, "beyond studies"));
  }
  for (const { slot, spread, sure } of series) {
    for (const [kind, [low, high]] of [["spread", spread], ["sure", sure]].filter(([, band]) => band)) {
      const back = low.map((value, k) => `L${x(k).toFixed(1)} ${capped(value).toFixed(1)}`).reverse().join("");
      root.append(svg("path", { class: `band ${kind} fill-${slot}`, d: path(high, x, capped) + back + "Z" }));
      if (kind === "sure") root.append(svg("path", { class: `edge edge-${slot}`, d: path(low, x, capped) + path(high, x, capped) }));
    }
  }
  if (limit) {
    root.append(svg("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(limit.at), y2: y(limit.at) }));
    root.append(svg("text", { x: LEFT + 4, y: y(limit.at) + 15 }, limit.said));
  }
  const at = inside(day, 0, days);
  root.append(svg("line", { class: "cursor", x1: x(at), x2: x(at), y1: TOP - 6, y2: height - BOTTOM }));
  const group = svg("g", { class: "lines" });
  for (const { slot, y: ys } of series) group.append(svg("path", { class: `of-${slot}`, d: path(ys, x, capped) }));
  root.append(group);
  badges(root, series.map(({ slot, letter, y: ys }) => ({ slot, letter, y: capped(ys[ys.length - 1]) })), width - RIGHT + 13, TOP, height - BOTTOM);
  where.replaceChildren(root);
  where.toDay = (clientX) => Math.round(inside((clientX - where.getBoundingClientRect().left - LEFT) / (width - LEFT - RIGHT), 0, 1) * days);
}

// a dot with its interval, on the scale that all regimens share
export function strip(where, { slot, value, low, high, top }) {
  const width = where.clientWidth, height = 12, x = (v) => 5 + (inside(v, 0, top) / top) * (width - 10);
  const root = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  root.append(svg("line", { class: "base", x1: 5, x2: width - 5, y1: 6, y2: 6 }));
  root.append(svg("line", { class: `of-${slot}`, x1: x(low), x2: x(high) + 0.01, y1: 6, y2: 6 }));
  root.append(svg("circle", { class: `fill-${slot}`, cx: x(value), cy: 6, r: 4.5 }));
  where.replaceChildren(root);
}

// one patient: MADRS by day, and below it what became of each visit
export function patient(where, { slot, madrs, visits, weeks }) {
  const { root, x, y, height } = frame(where, { top: 60, step: 20, weeks });
  const capped = (value) => y(inside(value, 0, 60));
  root.append(svg("g", { class: "lines" }, svg("path", { class: `of-${slot}`, d: path(madrs, x, capped) })));
  const base = height - BOTTOM - 1;
  for (const { day, action } of visits) {
    const cx = x(day);
    if (action === "give") root.append(svg("circle", { class: "mark-give", cx, cy: base, r: 3.4 }));
    if (action === "hold") root.append(svg("circle", { class: "mark-hold", cx, cy: base, r: 3.4 }));
    if (action === "missed") root.append(svg("line", { class: "mark-missed", x1: cx, x2: cx, y1: base - 5, y2: base + 5 }));
    if (action === "stop") root.append(svg("path", { class: "mark-stop", d: `M${cx - 4} ${base - 4}l8 8m0 -8l-8 8` }));
  }
  where.replaceChildren(root);
}

// of a band, for the legend
export function patch(slot, kind) {
  return svg("svg", { class: "swatch", viewBox: "0 0 26 12", "aria-hidden": "true" }, svg("rect", { class: `band ${kind} fill-${slot}`, x: 0, y: 0, width: 26, height: 12 }));
}

export function swatch(slot) {
  return svg("svg", { class: "swatch", viewBox: "0 0 26 12", "aria-hidden": "true" }, svg("line", { class: `of-${slot}`, x1: 0, y1: 6, x2: 26, y2: 6 }));
}
