"use strict";
// Everything that the page does: theme, charts that fit, filters, tables that sort, downloads. No network.
const payload = JSON.parse(document.getElementById("payload").textContent);
const root = document.documentElement;
const views = new Map();

// Theme: the reader's system decides until the switch does.
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const themeButton = document.getElementById("theme");
function setTheme(dark) {
  root.dataset.theme = dark ? "dark" : "light";
  themeButton.textContent = dark ? "Light" : "Dark";
}
setTheme(prefersDark.matches);
prefersDark.addEventListener("change", (event) => setTheme(event.matches));
themeButton.addEventListener("click", () => setTheme(root.dataset.theme !== "dark"));
document.getElementById("print").addEventListener("click", () => print());

// Data: columns as they were embedded, to rows.
function decoded(columns) {
  const length = columns.length ? (columns[0].values || columns[0].at).length : 0;
  return Array.from({ length }, (_, row) =>
    Object.fromEntries(columns.map((c) => [c.name, c.values ? c.values[row] : c.at[row] < 0 ? null : c.words[c.at[row]]])));
}
for (const item of Object.values(payload)) item.rows = decoded(item.data);

// Filter: what is switched on, by column; a column without switches lets all through.
const form = document.getElementById("filters");
function chosen() {
  const on = {};
  for (const box of form ? form.querySelectorAll("input") : []) (on[box.name] ??= new Set()).add(box.checked ? box.value : null);
  return on;
}
function switches(name) {
  return new Set([...form.querySelectorAll(`input[name="${name}"]`)].map((box) => box.value));
}
function kept(item, on) {
  const columns = item.filters.filter((name) => on[name] && item.rows.length && name in item.rows[0]);
  return item.rows.filter((row) => columns.every((name) => on[name].has(row[name])));
}
function applyFilters() {
  const on = chosen();
  for (const [name, view] of views) {
    if (legends(payload[name], payload[name].spec).length) drawn = drawn.then(() => draw(name));
    else view.data("rows", kept(payload[name], on).map((row) => ({ ...row }))).runAsync();
  }
  for (const table of document.querySelectorAll(".table table")) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.dataset.column);
    const at = Object.keys(on).map((name) => [heads.indexOf(name), on[name], switches(name)]).filter(([index]) => index >= 0);
    const shows = (text, values, known) => values.has(text) || !known.has(text); // "all" has no switch
    for (const row of table.tBodies[0].rows) row.hidden = !at.every(([index, values, known]) => shows(whole(row.cells[index]), values, known));
  }
}
if (form) {
  form.addEventListener("change", applyFilters);
  form.addEventListener("reset", () => setTimeout(applyFilters));
  addEventListener("click", (event) => { if (!form.parentElement.contains(event.target)) form.parentElement.open = false; });
}

// Legends of what a filter chooses among name what is chosen. The first names of a scale are those that colours or shapes
// tell apart: what is chosen beside them takes the place of what is not.
function legends(item, node) {
  if (node === null || typeof node !== "object") return [];
  const found = Object.values(node).flatMap((child) => legends(item, child));
  return node.legend?.values && item.filters.includes(node.field) ? [node, ...found] : found;
}
function tellApart(channel, values) {
  if (!values) return;
  const names = channel.scale.domain;
  const first = channel.legend.values.length;
  for (let at = first; at < names.length; at++) {
    const free = names.findIndex((name, place) => place < first && !values.has(name));
    if (free >= 0 && values.has(names[at])) [names[free], names[at]] = [names[at], names[free]];
  }
  channel.legend.values = names.filter((name) => values.has(name));
}

// Labels on a phone: shorter, and the ingredient and values of a change in two lines.
function narrow(node) {
  if (node === null || typeof node !== "object") return;
  Object.values(node).forEach(narrow);
  if (node.legend?.gradientLength > NARROW_LABEL) node.legend.gradientLength = NARROW_LABEL;
  if (node.axis?.labelLimit > NARROW_LABEL) node.axis.labelLimit = NARROW_LABEL;
  if (node.axis && node.field === "change")
    Object.assign(node.axis, { labelExpr: "split(datum.label, '  ')", labelFontSize: 9.5, labelLineHeight: 10.5, labelOffset: -5 });
}
const NARROW_LABEL = 140;

// Of a long label both ends are shown, and all of it where the mouse rests on it.
const SHORT = "length(datum.label) > 36 ? slice(datum.label, 0, 21) + '…' + slice(datum.label, -14) : datum.label";
function shorten(node) {
  if (node === null || typeof node !== "object") return;
  Object.values(node).forEach(shorten);
  if (node.type !== "nominal" || !node.field) return;
  if (node.axis !== null) node.axis = { labelExpr: SHORT, ...node.axis };
  if (node.legend !== null) node.legend = { labelExpr: SHORT, ...node.legend };
}
function tellWhole(text) {
  const whole = String(text.__data__?.datum?.value ?? text.__data__?.text ?? "");
  if (whole === text.textContent || typeof text.__data__?.datum?.value === "number") return;
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = whole;
  text.append(title);
}

// Charts: panels side by side where there is room, drawn once to see what the labels take, then as wide as the page.
let drawn = Promise.resolve(); // one after the other
async function draw(name) {
  const item = payload[name];
  const place = document.querySelector(`figure#${CSS.escape(name)} .chart`);
  const room = place.clientWidth;
  const columns = item.spec.facet ? (room < 620 ? 1 : Math.min(2, item.panels)) : 1;
  const on = chosen();
  const spec = structuredClone(item.spec);
  for (const channel of legends(item, spec)) tellApart(channel, on[channel.field]);
  const panel = spec.facet ? spec.spec : spec;
  const limit = spec.facet && item.panels === 1 ? 560 : Infinity;
  if (spec.facet) spec.columns = columns;
  spec.datasets = { rows: kept(item, on) };
  spec.config.legend = { ...spec.config.legend, columns: Math.max(1, Math.floor((room - 150) / 160)) };
  spec.config.background = "transparent";
  spec.config.axis = { ...spec.config.axis, labelLimit: room < 500 ? NARROW_LABEL : 260 };
  for (const channel of ["x", "y", "color", "shape"]) for (const layer of panel.layer ?? [panel]) shorten(layer.encoding?.[channel]);
  if (room < 500) narrow(panel);
  // A title that is longer than its axis grows towards the labels, where there is room.
  spec.config.axisX = { ...spec.config.axisX, titleAnchor: room < 500 ? "end" : null };
  const options = { actions: false, renderer: "svg", tooltip: { theme: "custom" } };
  // Wider than the legends, or they would count as labels.
  const wide = Math.max(150, Math.floor(room / columns) - 60);
  panel.width = wide;
  views.get(name)?.finalize();
  let result = await vegaEmbed(place, spec, options);
  const taken = place.querySelector("svg").viewBox.baseVal.width - columns * wide;
  result.finalize();
  panel.width = Math.max(120, Math.min(limit, Math.floor((room - taken - 6) / columns)));
  result = await vegaEmbed(place, spec, options);
  views.set(name, result.view);
  for (const text of place.querySelectorAll(":is(.role-axis-label, .role-legend-label, .role-header) text")) tellWhole(text);
  place.dataset.ready = "true";
}
async function drawAll() {
  for (const [name, item] of Object.entries(payload)) {
    if (item.spec) await draw(name);
  }
  root.dataset.ready = "true";
}
let drawnAt = innerWidth;
let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    if (Math.abs(innerWidth - drawnAt) > 40) { drawnAt = innerWidth; drawn = drawn.then(drawAll); }
  }, 250);
});

// Tables: a heading sorts, first upwards; what is missing stays last.
function whole(cell) { return cell.title || cell.firstChild?.textContent || ""; } // of a long name, both ends are shown
function value(cell) {
  const text = whole(cell);
  if (text === "–") return null;
  return cell.classList.contains("number") ? Number(cell.dataset.v ?? text.replaceAll(",", "")) : text;
}
function sort(heading) {
  const table = heading.closest("table");
  const up = heading.getAttribute("aria-sort") !== "ascending";
  for (const other of heading.parentElement.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", up ? "ascending" : "descending");
  const rows = [...table.tBodies[0].rows].map((row) => [value(row.cells[heading.cellIndex]), row]);
  rows.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true })) * (up ? 1 : -1);
  });
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
for (const heading of document.querySelectorAll(".table th")) heading.querySelector("button").addEventListener("click", () => sort(heading));

// Downloads: the data as CSV, a chart as it is drawn.
function quoted(field) {
  const text = field === null || field === undefined ? "" : String(field);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
function csv(item) {
  const names = item.data.map((column) => column.name);
  return [names, ...item.rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}
function save(url, file) {
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
for (const button of document.querySelectorAll("[data-save]")) {
  const name = button.closest("figure").id;
  const kind = button.dataset.save;
  button.addEventListener("click", async () => {
    if (kind === "csv") save(URL.createObjectURL(new Blob([csv(payload[name])], { type: "text/csv" })), `${name}.csv`);
    else save(await views.get(name).toImageURL(kind, kind === "png" ? 3 : 1), `${name}.${kind}`);
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const pre = button.nextElementSibling;
    getSelection().selectAllChildren(pre);
    await navigator.clipboard?.writeText(pre.textContent).then(() => { button.textContent = "Copied"; }, () => {}); // a page from disk may be refused
  });
}

applyFilters();
drawn = drawn.then(drawAll);
