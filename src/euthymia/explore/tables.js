// Numbers of the regimens that are shown, as tables and bars. Each is { slot, letter, found, sure }: what patients do, and
// how sure that is, which comes later and is then undefined.
import { $, decimal, make, quiet } from "./dom.js";
import { strip, swatch } from "./draw.js";

function fill(where, names, rows) {
  const head = make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, ...[name].flat()))));
  where.replaceChildren(head, make("tbody", {}, ...rows));
}

function head({ slot, letter }) {
  return make("th", { scope: "row" }, swatch(slot), letter);
}

// a number on a day, and between what it lies over what is uncertain
function unsure({ found, sure }, name, day, digits, unit = "") {
  const ends = sure && ` (${sure[name].map((y) => y[day].toFixed(digits)).join(" to ")})`;
  return make("td", {}, `${found[name][day].toFixed(digits)}${unit}`, quiet(ends ?? " (…)"));
}

export function readings(shown, day) {
  const rows = shown.map((r) => make("tr", {}, head(r), unsure(r, "mean", day, 1), unsure(r, "remission", day, 0, "\u00a0%"), unsure(r, "response", day, 0, "\u00a0%"),
    make("td", {}, `${r.found.low[day].toFixed(0)} to ${r.found.high[day].toFixed(0)}`)));
  fill($("readings"), ["Regimen", "MADRS, mean", "in remission", "responding", "90 % of patients, MADRS"], rows);
}

export function weekly(shown, weeks) {
  const rows = [];
  for (let week = 0; week <= weeks; week += weeks > 26 ? 4 : weeks > 12 ? 2 : 1) {
    for (const r of shown) {
      const day = 7 * week;
      rows.push(make("tr", {}, make("th", { scope: "row" }, `${week}`), make("td", {}, r.letter), unsure(r, "mean", day, 1), unsure(r, "remission", day, 0),
        unsure(r, "response", day, 0), make("td", {}, `${r.found.low[day].toFixed(0)} to ${r.found.high[day].toFixed(0)}`)));
    }
  }
  fill($("table"), ["Week", "Regimen", "MADRS, mean", "in remission, %", "responding, %", "90 % of patients, MADRS"], rows);
}

// what each regimen does more than the first
export function differences(shown, first, facts, designsDiffer) {
  const others = shown.filter((r) => r.slot !== first.slot);
  $("differences").hidden = !others.length;
  if (!others.length) return;
  const cell = (of) => {
    if (!of) return make("td", {}, "…");
    const digits = Math.max(Math.abs(of.low), Math.abs(of.high)) >= 10 ? 0 : 1;
    const [value, low, high] = [of.value, of.low, of.high].map((x) => x.toFixed(digits).replace(/^-0(\.0)?$/, "0").replace("-", "−"));
    return make("td", {}, make("b", {}, `${Number(of.value.toFixed(digits)) > 0 ? "+" : ""}${value}`), quiet(` (${low} to ${high})`));
  };
  $("differences-title").textContent = `Against regimen ${first.slot.toUpperCase()}`;
  fill($("against"), ["Regimen", ...facts.compared.map(({ label, unit }) => [label, quiet(unit && `, ${unit}`)])],
    others.map((r) => make("tr", {}, head(r), ...facts.compared.map((_, k) => cell(r.sure?.differences[k])))));
  $("against-contains").textContent =
    `Mean differences in the same ${facts.in_worlds} patients of the same ${facts.worlds} worlds; in brackets 90 % over what is uncertain and over the chance ` +
    `among so many patients. What is uncertain moves both regimens alike, so that a difference is surer than either curve.` +
    (designsDiffer ? " Here designs differ too, and that is part of it: no contest between drugs." : "");
}

function ceiling(value) {
  const size = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((k) => k * size).find((k) => k >= value - 1e-9);
}

export function outcomes(shown, weeks) {
  const first = shown[0].found.outcomes;
  $("over").textContent = `over ${weeks} weeks`;
  const drawn = [];
  const boxes = first.map(({ id, label, unit }, k) => {
    const all = shown.map((r) => [r, r.found.outcomes[k]]);
    const top = id === "stopped" ? 100 : Math.max(ceiling(Math.max(...all.map(([, o]) => o.high))), 1);
    const rows = all.map(([{ slot, letter }, o]) => {
      const line = make("div", { class: "strip" });
      drawn.push([line, { slot, value: o.value, low: o.low, high: o.high, top }]);
      const said = make("div", { class: "say" }, make("b", {}, decimal(o.value)), quiet(`${decimal(o.low)} to ${decimal(o.high)}`));
      const row = make("div", { class: `one${shown.length > 1 ? "" : " only"}` });
      if (shown.length > 1) row.append(make("span", { class: "letter" }, letter));
      row.append(make("div", {}, said, line, ...(o.note ? [make("span", { class: "quiet note" }, o.note)] : [])));
      return row;
    });
    return make("div", { class: "outcome" }, make("h3", {}, `${label} `, quiet(unit)), ...rows);
  });
  $("outcomes").replaceChildren(...boxes);
  for (const [where, what] of drawn) strip(where, what);
  const kinds = [...new Set(first.map((o) => o.contains))];
  const labels = (kind) => first.filter((o) => o.contains === kind).map((o, k) => (k ? o.label[0].toLowerCase() + o.label.slice(1) : o.label));
  $("contains").textContent = `${kinds.map((k) => `${labels(k).join(", ")}: ${k}.`).join(" ")} What is uncertain of the model is in none of these.`;
}
