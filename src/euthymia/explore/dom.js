// What every part of the page makes elements and words with.

export const $ = (id) => document.getElementById(id);

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

export function decimal(value) {
  const digits = Math.abs(value) >= 20 ? 0 : Math.abs(value) < 1 ? 2 : 1;
  return value.toLocaleString("en", { maximumFractionDigits: digits, minimumFractionDigits: 0 }).replace("-", "−");
}

export function quiet(...words) {
  return make("span", { class: "quiet" }, ...words);
}
