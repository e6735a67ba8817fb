// The explorer's page: keeps the regimens, asks this machine what patients do under them, and draws it.
import { $, decimal, make } from "./dom.js";
import { lines, patch, patient as drawPatient, swatch } from "./draw.js";
import { differences, outcomes, readings, weekly } from "./tables.js";

const WAIT_MS = 40, REST_MS = 200, LONG_MS = 2000;
const MOST = 4;
const SLOTS = ["a", "b", "c", "d"];
const MARKS = { give: "given", hold: "held", stop: "stopped", missed: "did not come" };
const refused = $("refused");

// of this run, behind the # of the address; kept for this tab alone and taken out of sight
const given = location.hash.slice(1);
if (given.length > 20) sessionStorage.setItem("token", given);
if (location.hash) history.replaceState(null, "", location.pathname);

const page = crypto.randomUUID();
const known = {};       // numbers of a protocol, by name
const results = new Map(); // what came back, by regimen and weeks; the oldest goes first
let facts, regimens = [], active, weeks, day, turn = 0, pending = new AbortController(), timer, story, unsure = "";

async function ask(what, question = {}, signal = undefined) {
  const answer = await fetch(what, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Euthymia-Token": sessionStorage.getItem("token") ?? "" },
    body: JSON.stringify(question),
    signal,
  });
  const said = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.said), { refused: true, status: answer.status });
  return said;
}

const letter = (regimen) => regimen.slot.toUpperCase();
const numbersOf = (regimen) => known[regimen.protocol].numbers;
const textOf = (regimen, number) => regimen.numbers[number.id] ?? number.own;
const saidOf = (number, text) => number.choices.find((c) => c.text === text)?.said ?? text;
const keyOf = ({ protocol, numbers }) => JSON.stringify([protocol, Object.entries(numbers).sort(), weeks]);
const resultOf = (regimen) => results.get(keyOf(regimen));
const shownOf = (regimen) => resultOf(regimen) ?? regimen.last;
// how sure that is comes later, and for any but the first regimen with its differences to that
const sureKey = (regimen) => `sure ${regimen === regimens[0] ? "" : keyOf(regimens[0])} ${keyOf(regimen)}`;
const sureOf = (regimen) => (resultOf(regimen) ? results.get(sureKey(regimen)) : regimen.lastSure);
const seenOf = (regimen) => ({ slot: regimen.slot, letter: letter(regimen), found: shownOf(regimen), sure: sureOf(regimen) });
const place = (number) => (["drug", "rules"].includes(number.group) ? "" : `${number.group}, `);

function changes(regimen) {
  return numbersOf(regimen)
    .filter((n) => textOf(regimen, n) !== n.own)
    .map((n) => `${place(n)}${n.label} ${saidOf(n, textOf(regimen, n))}`);
}

// ---------------------------------------------------------------- asking

function moved() {
  clearTimeout(timer);
  timer = setTimeout(refresh, resultOf(active) ? 0 : WAIT_MS);
}

async function refresh() {
  delete document.documentElement.dataset.rest;
  pending.abort();
  pending = new AbortController();
  const mine = ++turn, signal = pending.signal;
  const order = [active, ...regimens.filter((r) => r !== active)];
  if (order.every(resultOf)) return settle(mine, signal);
  busy(true);
  draw();
  setTimeout(() => {
    if (mine === turn && !resultOf(active) && !active.refused) $("state").textContent = "a way of giving the drug is compiled once, some seconds …";
  }, LONG_MS);
  try {
    for (const regimen of order) {
      if (resultOf(regimen)) continue;
      const key = keyOf(regimen);
      const { protocol, numbers } = regimen;
      try {
        keep(key, await ask("respond", { protocol, numbers, weeks, page, turn: mine }, signal));
        regimen.refused = "";
      } catch (error) {
        if (error.name === "AbortError" || error.status === 409) return;
        regimen.refused = error.message;
      }
      if (mine !== turn) return;
      draw();
    }
    settle(mine, signal);
  } finally {
    if (mine === turn) busy(false);
  }
}

function settle(mine, signal) {
  busy(false);
  for (const regimen of regimens) if (resultOf(regimen)) regimen.refused = "";
  draw();
  if (story) tell();
  // bands first: a curve without one is half an answer
  sure(mine, signal).then(() => ahead(mine, signal)).finally(() => { if (mine === turn) document.documentElement.dataset.rest = "yes"; });
}

async function sure(mine, signal) {
  const [first] = regimens;
  unsure = "";
  if (!regimens.every(sureOf)) await new Promise((done) => { setTimeout(done, REST_MS); }); // a slider that is still moving comes first
  if (mine !== turn) return;
  for (const regimen of [active, ...regimens.filter((r) => r !== active)]) {
    if (!resultOf(regimen) || sureOf(regimen)) continue;
    const key = sureKey(regimen), { protocol, numbers } = regimen;
    const against = regimen === first ? null : { protocol: first.protocol, numbers: first.numbers };
    try {
      keep(key, await ask("sure", { protocol, numbers, weeks, page, turn: mine, first: against }, signal));
    } catch (error) {
      if (error.name !== "AbortError" && error.status !== 409) unsure = error.message;
    }
    if (mine !== turn) return;
    draw();
  }
  document.documentElement.dataset.sure = keyOf(active);
}

// while nobody waits: one step to either side of the slider moved last, so that a step is drawn at once
async function ahead(mine, signal) {
  const number = numbersOf(active).find((n) => n.id === active.touched);
  if (!number) return;
  const at = number.choices.findIndex((c) => c.text === textOf(active, number));
  for (const choice of [number.choices[at + 1], number.choices[at - 1]].filter(Boolean)) {
    const next = { protocol: active.protocol, numbers: withNumber(active, number, choice.text) };
    if (resultOf(next)) continue;
    try {
      keep(keyOf(next), await ask("respond", { ...next, weeks, page, turn: mine }, signal));
    } catch {
      return; // refused or no longer wanted: the slider will tell
    }
  }
}

function withNumber(regimen, number, text) {
  const { [number.id]: _, ...others } = regimen.numbers;
  return text === number.own ? others : { ...others, [number.id]: text };
}

function keep(key, found) {
  results.delete(key);
  results.set(key, found);
  if (results.size > 192) results.delete(results.keys().next().value);
}

function busy(is) {
  $("main").setAttribute("aria-busy", is);
}

// ---------------------------------------------------------------- drawing

function draw() {
  for (const regimen of regimens) {
    if (resultOf(regimen)) Object.assign(regimen, { last: resultOf(regimen), lastSure: sureOf(regimen) });
  }
  const shown = regimens.filter((r) => shownOf(r)?.weeks === weeks);
  refused.textContent = active.refused ?? "";
  $("main").classList.toggle("unsure", Boolean(active.refused));
  for (const part of document.querySelectorAll(".curve, .rest")) part.classList.toggle("old", !resultOf(active));
  tabs();
  words(shown);
  if (shown.length) {
    const seen = shown.map(seenOf);
    curves(seen);
    reading(seen);
    outcomes(seen, weeks);
    differences(seen, regimens[0], facts, designsDiffer(shown));
    weekly(seen, weeks);
  }
  warnings(shown);
  document.documentElement.dataset.drawn = resultOf(active) ? keyOf(active) : "";
}

function words(shown) {
  const name = known[active.protocol];
  $("title").textContent = name.title;
  document.title = `${name.title} – Euthymia explorer`;
  const found = resultOf(active);
  $("state").textContent = found
    ? `${facts.patients.toLocaleString("en")} virtual patients`
    : active.refused ? "the last regimen that could be simulated" : "simulating …";
  if (found) {
    const [days, sessions] = found.outcomes, end = found.remission.length - 1;
    const moved = changes(active);
    const who = regimens.length > 1 ? `Regimen ${letter(active)}` : active.protocol;
    $("lead").textContent =
      `${who}${moved.length ? `, with ${moved.join("; ")}` : ", as the protocol has it"}: ` +
      `${found.remission[end].toFixed(0)}\u00a0% of virtual patients are in remission in week ${weeks}; the median patient has ` +
      `${decimal(days.value)} days in remission from ${decimal(sessions.value)} session${sessions.value === 1 ? "" : "s"}. `;
  }
  const bands = found && sureOf(active);
  $("sure").classList.toggle("waits", !bands); // keeps its place
  if (bands) {
    const ends = bands.remission.map((y) => y[y.length - 1].toFixed(0)).join(" to ");
    $("sure").textContent = `Over what is uncertain of the model and of clinics, ${ends}\u00a0% are in remission.`;
  }
  const waits = bands || active.refused ? "" : unsure ? `: not known, ${unsure}` : " …";
  $("legend").replaceChildren(
    make("li", {}, swatch(active.slot), "mean"),
    make("li", {}, patch(active.slot, "sure"), `how sure of it${waits}`),
    make("li", {}, patch(active.slot, "spread"), "90\u00a0% of patients"));
}

function curves(seen) {
  const front = seen.find((r) => r.slot === active.slot);
  const order = [...seen.filter((r) => r !== front), ...seen.filter((r) => r === front)];
  const of = (name, spread) => order.map((r) => ({
    slot: r.slot, letter: r.letter, y: r.found[name],
    spread: spread && r === front ? [r.found.low, r.found.high] : null, sure: r === front ? r.sure?.[name] : null,
  }));
  const beyond = front ? front.found.beyond : null;
  const about = { weeks, day, beyond };
  lines($("madrs"), { series: of("mean", true), top: 60, step: 20, ...about, limit: { at: 12, said: "remission" } });
  lines($("remission"), { series: of("remission"), top: 100, step: 25, ...about });
  lines($("response"), { series: of("response"), top: 100, step: 25, ...about });
  const who = regimens.length > 1 ? `, of regimen ${letter(active)}` : "";
  $("beyond").replaceChildren(...(beyond === null ? [] : [
    `Shaded, from week ${beyond} on${who}: extrapolation, beyond what any study tried. `,
    make("a", { href: "#beyond-title" }, "What to doubt")]));
  const end = 7 * weeks;
  for (const [id, name, unit] of [["madrs", "mean", "points"], ["remission", "remission", "%"], ["response", "response", "%"]]) {
    const said = seen.map((r) => `regimen ${r.letter} from ${r.found[name][0]} to ${r.found[name][end]} ${unit}${r.sure ? `, ${r.sure[name].map((y) => y[end]).join(" to ")} over what is uncertain` : ""}`).join("; ");
    $(id).setAttribute("aria-label", `${name} by week: ${said}. The table below has the numbers.`);
  }
}

function reading(seen) {
  const slider = $("day");
  slider.max = 7 * weeks;
  slider.value = day;
  fill(slider);
  const said = `day ${day}${day % 7 ? "" : `, the end of week ${day / 7}`}`;
  $("day-said").textContent = said;
  slider.setAttribute("aria-valuetext", said);
  readings(seen, day);
}

const designsDiffer = (shown) => new Set(shown.map((r) => shownOf(r).design)).size > 1;

function warnings(shown) {
  const boxes = shown.map((r) => {
    const said = [...shownOf(r).warnings];
    const info = known[r.protocol];
    if (info.population !== facts.population) said.push(`written for ${info.population}; shown in patients with ${facts.population}`);
    return make("div", { class: "doubt" }, swatch(r.slot), make("ul", {},
      make("li", {}, make("strong", {}, `${letter(r)}: ${r.protocol}`), changes(r).length ? `, changed: ${changes(r).join("; ")}` : ""),
      ...(said.length ? said : ["nothing beyond the limits below"]).map((s) => make("li", {}, `${s.replace(/\.$/, "")}.`))));
  });
  if (designsDiffer(shown)) boxes.unshift(make("p", { class: "device", role: "note" }, "Their designs differ (what patients expect, where they are treated), and design moves response more than the dose does: this is no contest between drugs."));
  $("warnings").replaceChildren(...boxes);
  $("same").textContent = `All regimens meet the same ${facts.patients.toLocaleString("en")} virtual patients (${facts.population}, random numbers in common), so that a difference between two curves is not chance between people.`;
}

// ---------------------------------------------------------------- regimens and their numbers

function tabs() {
  const made = regimens.map((r) => {
    const name = `Regimen ${letter(r)}: ${[r.protocol, ...changes(r)].join("; ")}`;
    const tab = make("span", { class: "tab" }, make("button", { type: "button", "aria-pressed": String(r === active), "aria-label": name, title: name, "data-slot": r.slot, onclick: () => choose(r) }, swatch(r.slot), letter(r)));
    if (regimens.length > 1 && r === active) tab.append(make("button", { type: "button", class: "out", "aria-label": `Remove regimen ${letter(r)}`, onclick: () => remove(r) }, "×"));
    return tab;
  });
  if (regimens.length < MOST) made.push(make("span", { class: "tab" }, make("button", { type: "button", id: "compare", onclick: compare }, regimens.length > 1 ? "+" : "+ Compare", ...(regimens.length > 1 ? [make("span", { class: "sr" }, " Compare another regimen")] : []))));
  const focused = document.activeElement?.dataset?.slot;
  $("tabs").replaceChildren(...made);
  if (focused) $("tabs").querySelector(`[data-slot=${focused}]`)?.focus();
}

function compare() {
  const slot = SLOTS.find((s) => !regimens.some((r) => r.slot === s));
  regimens.push({ ...active, slot, numbers: { ...active.numbers } });
  regimens.sort((a, b) => (a.slot < b.slot ? -1 : 1));
  choose(regimens.find((r) => r.slot === slot));
  $("tabs").querySelector(`[data-slot=${slot}]`).focus();
}

function remove(regimen) {
  regimens = regimens.filter((r) => r !== regimen);
  choose(regimen === active ? regimens[0] : active);
  $("tabs").querySelector(`[data-slot=${active.slot}]`).focus();
}

function choose(regimen) {
  active = regimen;
  controls();
  draw();
  refresh();
}

function fill(slider) {
  const most = Number(slider.max);
  slider.style.setProperty("--at", most ? Number(slider.value) / most : 0);
}

function knob(number, k) {
  const id = `n-${k}`, value = make("output", { for: id });
  const own = number.choices.findIndex((c) => c.text === number.own), last = number.choices.length - 1;
  const slider = make("input", { type: "range", id, min: 0, max: last, step: 1, "data-number": number.id });
  const box = make("div", { class: "knob" }, make("label", { for: id }, number.label), value,
    make("div", { class: "track" }, make("i"), slider));
  box.querySelector("i").style.setProperty("--own", last ? own / last : 0);
  const show = () => {
    const choice = number.choices[slider.value];
    value.textContent = choice.said;
    slider.setAttribute("aria-valuetext", choice.said + (choice.text === number.own ? ", the protocol's own" : ""));
    box.classList.toggle("moved", choice.text !== number.own);
    fill(slider);
  };
  slider.value = number.choices.findIndex((c) => c.text === textOf(active, number));
  slider.addEventListener("input", () => {
    active.numbers = withNumber(active, number, number.choices[slider.value].text);
    active.touched = number.id;
    box.after(refused);
    active.refused = "";
    show();
    names();
    moved();
  });
  show();
  return box;
}

function controls() {
  const numbers = numbersOf(active), boxes = [];
  $("protocol").value = active.protocol;
  const made = numbers.map((n, k) => [n, knob(n, k)]);
  for (const group of new Set(numbers.map((n) => n.group))) {
    const mine = made.filter(([n]) => n.group === group).map(([, box]) => box);
    if (group === "rules") boxes.push(make("details", { open: openRules }, make("summary", {}, "Numbers in its rules"), ...mine));
    else boxes.push(make("div", { role: "group", "aria-label": group === "drug" ? known[active.protocol].drug : group }, make("h3", {}, group === "drug" ? known[active.protocol].drug : group), ...mine));
  }
  $("knobs").replaceChildren(...boxes);
  $("knobs").after(refused);
  $("knobs").querySelector("details")?.addEventListener("toggle", (e) => { openRules = e.target.open; });
  names();
}
let openRules = false;

function names() {
  const anything = Object.keys(active.numbers).length > 0;
  $("own").disabled = !anything;
  $("name").placeholder = anything ? `${active.protocol.slice(0, 52)}-changed` : active.protocol;
}

async function begin() {
  facts = await ask("begin");
  weeks = facts.weeks[1];
  day = 7 * weeks;
  for (const { name, title } of facts.protocols) $("protocol").append(make("option", { value: name, title }, name));
  for (const w of facts.weeks) {
    const input = make("input", { type: "radio", name: "weeks", value: w, checked: w === weeks });
    input.addEventListener("change", () => { day = day === 7 * weeks ? 7 * w : Math.min(day, 7 * w); weeks = w; refresh(); });
    $("weeks").append(make("label", {}, input, make("span", {}, `${w}`)));
  }
  $("patient").max = facts.patients - 1;
  $("worlds").textContent = facts.worlds;
  $("in-worlds").textContent = facts.in_worlds;
  known[facts.protocol] = await ask("numbers", { protocol: facts.protocol });
  active = { slot: "a", protocol: facts.protocol, numbers: {} };
  regimens = [active];
  $("main").hidden = false;
  controls();
  await refresh();
}

$("protocol").addEventListener("change", async (event) => {
  const name = event.target.value, regimen = active;
  try {
    known[name] ??= await ask("numbers", { protocol: name });
  } catch (error) {
    regimen.refused = error.message;
    event.target.value = regimen.protocol;
    return draw();
  }
  Object.assign(regimen, { protocol: name, numbers: {}, refused: "", last: undefined, lastSure: undefined });
  if (regimen === active) choose(regimen);
});

$("own").addEventListener("click", () => {
  active.numbers = {};
  active.refused = "";
  controls();
  refresh();
  $("protocol").focus();
});

// ---------------------------------------------------------------- reading one day

function read(at) {
  day = at;
  const shown = regimens.filter((r) => shownOf(r)?.weeks === weeks);
  if (!shown.length) return;
  const seen = shown.map(seenOf);
  curves(seen);
  reading(seen);
}

$("day").addEventListener("input", (event) => read(Number(event.target.value)));
for (const id of ["madrs", "remission", "response"]) {
  for (const kind of ["pointermove", "pointerdown"]) {
    $(id).addEventListener(kind, (event) => {
      if ((event.pointerType === "mouse" || kind === "pointerdown") && $(id).toDay) read($(id).toDay(event.clientX));
    });
  }
}
let wide = 0;
new ResizeObserver(() => {
  if (wide !== innerWidth && active) { wide = innerWidth; draw(); if (story) drawStory(); }
}).observe(document.body);

// ---------------------------------------------------------------- one patient

async function tell() {
  const regimen = active, number = Math.min(Math.max(Math.round(Number($("patient").value)) || 0, 0), facts.patients - 1);
  $("patient").value = number;
  try {
    story = { regimen, slot: regimen.slot, ...(await ask("story", { protocol: regimen.protocol, numbers: regimen.numbers, weeks, patient: number })), weeks };
  } catch (error) {
    if (error.refused) $("story").replaceChildren(make("p", { class: "refused" }, error.message));
    return;
  }
  drawStory();
}

function drawStory() {
  const chart = make("div", { class: "chart", role: "img", "aria-label": `MADRS of patient ${story.patient}, with what became of each visit` });
  const visits = story.visits.map(({ day, said, rules }) => make("li", {}, make("span", { class: "when" }, `day ${day}`), make("span", { class: "what" }, said), ...rules.map((r) => make("span", { class: "rule" }, r))));
  const used = [...new Set(story.visits.map((v) => v.action))];
  const marks = { give: "● given", hold: "○ held", missed: "| did not come", stop: "× stopped" };
  $("story").replaceChildren(
    make("p", { class: "who" }, swatch(story.slot), `Patient ${story.patient} under regimen ${story.slot.toUpperCase()}: ${story.about}. ${count(story.visits)}`),
    chart,
    make("p", { class: "quiet" }, `MADRS by week; at the bottom, visits: ${used.map((a) => marks[a]).join(", ")}.`),
    make("ol", { class: "visits" }, ...visits));
  drawPatient(chart, story);
}

function count(visits) {
  const said = Object.entries(MARKS).map(([action, word]) => [visits.filter((v) => v.action === action).length, word]).filter(([n]) => n);
  return `${visits.length} visit${visits.length === 1 ? "" : "s"}: ${said.map(([n, word]) => `${n} ${word}`).join(", ")}.`;
}

$("open").addEventListener("click", tell);
$("patient").addEventListener("change", tell);
$("before").addEventListener("click", () => { $("patient").value = Math.max(0, Number($("patient").value) - 1); tell(); });
$("after").addEventListener("click", () => { $("patient").value = Number($("patient").value) + 1; tell(); });

// ---------------------------------------------------------------- saving

$("save").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const { name, text } = await ask("document", { protocol: active.protocol, numbers: active.numbers, name: $("name").value });
    const link = make("a", { href: URL.createObjectURL(new Blob([text], { type: "application/yaml" })), download: `${name}.yaml` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    $("saved").textContent = `Saved. Then: euthymia simulate ${name}.yaml --rules --weeks ${weeks}`;
  } catch (error) {
    $("saved").textContent = error.message;
  }
});

begin().catch((error) => { $("title").textContent = "The explorer cannot open"; $("lead").textContent = error.message; });
