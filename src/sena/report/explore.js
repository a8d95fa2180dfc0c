"use strict";
// The explorer of a run's rows: search, facets, histograms, sorting, one row by its address, next and previous by key.
// What a model said is put on the page as text and never as markup: every string goes through `make`, which appends it
// as a text node. `answer` takes a query and gives {total, all, entries, facets, histograms, pictures}: from the data
// inside this page, or from the server of `sena view`, which answers alike.

const PAGE = 20, BINS = 12;
const LABELS = {kept: "outcome", enhanced: "answer by enhancing"};
const UNITS = {"length of chosen": "characters", "length of rejected": "characters", margin: "nats",
  "chosen log-probability": "nats", support: "nats a token"};
const data = JSON.parse(document.getElementById("data").textContent);
const place = Object.fromEntries(
  ["words", "sort", "reset", "facets", "histograms", "count", "list", "more", "news"].map((id) => [id, document.getElementById(id)]),
);
const fresh = () => ({words: "", facets: {}, ranges: {}, sort: "", id: "", start: 0, count: PAGE});
let query = fresh(), asked = 0;

// --- answering a query from the data inside the page

const searched = new Map(data.entries.map((entry) => [entry, haystack(entry)]));

function haystack(entry) {
  const texts = entry.texts.map(([, , pieces]) => pieces.map(([, text]) => text).join(""));
  return [entry.id, entry.row, entry.image, ...texts, ...entry.notes].join("\n").toLowerCase();
}

function within(value, [low, high, last]) {
  return value !== undefined && value >= low && (value < high || (last && value <= high));
}

/** Whether an entry answers the query, the facet or range called `but` left aside: so that each counts what it offers. */
function fits(entry, wanted, but) {
  if (wanted.id) return entry.id === wanted.id;
  return wanted.words.toLowerCase().split(/\s+/).every((word) => searched.get(entry).includes(word))
    && Object.entries(wanted.facets).every(([name, value]) => name === but || entry.facets[name] === value)
    && Object.entries(wanted.ranges).every(([name, range]) => name === but || within(entry.numbers[name], range));
}

function fromPage(wanted) {
  const found = data.entries.filter((entry) => fits(entry, wanted));
  const [name, down] = [wanted.sort.replace(/^-/, ""), wanted.sort.startsWith("-")];
  const known = found.filter((entry) => name in entry.numbers);
  known.sort((one, other) => (one.numbers[name] - other.numbers[name]) * (down ? -1 : 1));
  const sorted = name ? [...known, ...found.filter((entry) => !(name in entry.numbers))] : found;
  return {
    total: found.length, all: data.entries.length, pictures: data.pictures,
    entries: sorted.slice(wanted.start, wanted.start + wanted.count),
    facets: countFacets(wanted), histograms: countNumbers(wanted),
  };
}

function countFacets(wanted) {
  const names = [...new Set(data.entries.flatMap((entry) => Object.keys(entry.facets)))];
  return names.map((name) => {
    const counts = new Map();
    for (const entry of data.entries) {
      const value = entry.facets[name];
      if (value !== undefined) counts.set(value, (counts.get(value) || 0) + (fits(entry, wanted, name) ? 1 : 0));
    }
    return [name, [...counts].sort(([one, many], [other, few]) => few - many || one.localeCompare(other))];
  });
}

function countNumbers(wanted) {
  const names = [...new Set(data.entries.flatMap((entry) => Object.keys(entry.numbers)))];
  return names.map((name) => {
    const known = data.entries.filter((entry) => name in entry.numbers);
    const [low, high] = known.reduce(
      ([least, most], {numbers}) => [Math.min(least, numbers[name]), Math.max(most, numbers[name])], [Infinity, -Infinity]);
    const counts = new Array(BINS).fill(0);
    for (const entry of known.filter((entry) => fits(entry, wanted, name))) {
      counts[Math.min(BINS - 1, Math.floor(BINS * (entry.numbers[name] - low) / (high - low || 1)))] += 1;
    }
    return [name, low, high, counts];
  });
}

async function fromServer(wanted) {
  const reply = await fetch("rows?" + new URLSearchParams({query: JSON.stringify(wanted)}));
  if (!reply.ok) throw new Error(await reply.text());
  return reply.json();
}

const answer = data.remote ? fromServer : async (wanted) => fromPage(wanted);

// --- elements

/** An element with properties and children; strings become text nodes. */
function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "data") Object.assign(element.dataset, value);
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

function pieces(parts, mark) {
  const tag = {chosen: "ins", rejected: "del"}[mark];
  const shown = parts.map(([differs, text]) => (differs && tag ? make(tag, {}, text) : text));
  return shown.length && parts.some(([, text]) => text) ? shown : ["(empty)"];
}

function picture(key, about, caption) {
  const found = (key && shownPictures[key]) || {reason: "no picture to show"};
  const image = found.uri
    ? make("img", {src: found.uri, alt: about, loading: "lazy", className: found.side <= 96 ? "tiny" : ""})
    : make("div", {className: "nothing", role: "img", "aria-label": `${about}: ${found.reason}`}, found.reason);
  return make("figure", {}, image, make("figcaption", {}, caption));
}

let shownPictures = {};

function article(entry) {
  const {round, kind, reason, "dropped by": stage} = entry.facets;
  const told = [`round ${round}`, kind, ...(entry.what === "drop" ? [`dropped by ${stage}: ${reason}`] : []),
    ...["question", "enhanced"].filter((name) => (entry.facets[name] || "").startsWith("changed")).map((name) =>
      (name === "question" ? "question changed by the check" : "answer changed by enhancing"))];
  const heading = make("p", {className: "kind"}, ...told.map((text) => make("span", {className: `chip ${entry.what}`}, text)));
  const texts = make("dl", {className: "texts"},
    ...entry.texts.flatMap(([label, mark, parts]) => [
      make("dt", {}, label), make("dd", {dir: "auto", className: mark}, ...pieces(parts, mark)),
    ]));
  const pictures = make("div", {className: "pictures"}, picture(entry.clean, "The clean picture", "clean"),
    entry.spoiled_by ? picture(entry.spoiled, "The spoiled picture", `spoiled: ${entry.spoiled_by}`) : null);
  return make("article", {id: `row-${entry.id}`, tabIndex: -1, "aria-label": `${entry.what} ${entry.id}`},
    pictures, make("div", {className: "words"}, heading, texts,
      ...entry.notes.map((note) => make("p", {className: "muted"}, note)), footer(entry)));
}

function footer(entry) {
  const same = make("button", {type: "button", onclick: () => change(() => { query = {...fresh(), words: entry.image}; })},
    "All rows of this picture");
  const flag = data.remote ? make("button", {type: "button", "aria-pressed": String(Boolean(entry.flagged)), className: "flag",
    onclick: (event) => setFlag(entry, event.currentTarget)}, "Flag") : null;
  return make("div", {className: "foot"},
    make("a", {href: `#row-${entry.id}`}, `#row-${entry.id}`), same, flag,
    make("span", {}, make("span", {className: "muted"}, "whole story: "),
      make("code", {className: "id"}, `sena show ${data.run} --id ${entry.id}`)));
}

function facet([name, values]) {
  const inOrder = name === "round" ? [...values].sort(([one], [other]) => one - other) : values;
  const buttons = inOrder.map(([value, count]) => make("button", {
    type: "button", "aria-pressed": String(query.facets[name] === value), data: {key: `${name}=${value}`},
    disabled: count === 0 && query.facets[name] !== value,
    onclick: () => change(() => toggle(query.facets, name, value, query.facets[name] === value)),
  }, value, make("span", {className: "number"}, ` (${count.toLocaleString("en")})`)));
  const shown = LABELS[name] || name;
  return make("div", {role: "group", "aria-label": shown, className: "facet"}, make("span", {className: "name"}, shown), ...buttons);
}

function histogram([name, low, high, counts]) {
  const total = counts.reduce((sum, count) => sum + count, 0), most = Math.max(...counts, 1), width = (high - low) / BINS, range = query.ranges[name];
  const bars = counts.map((count, bin) => {
    const own = [low + bin * width, bin === BINS - 1 ? high : low + (bin + 1) * width, bin === BINS - 1];
    const pressed = Boolean(range) && own[0] >= range[0] - width / 1e6 && own[1] <= range[1] + width / 1e6;
    const fill = make("span", {});
    fill.style.height = `${count ? Math.max(4, 100 * count / most) : 0}%`;
    return make("button", {
      type: "button", "aria-pressed": String(pressed), title: `${short(own[0])} to ${short(own[1])}: ${count} rows`,
      "aria-label": `${name} ${short(own[0])} to ${short(own[1])}: ${count} rows`, data: {key: `${name}:${bin}`},
      onclick: (event) => change(() => toggle(query.ranges, name, event.shiftKey && range ? hull(range, own) : own, pressed && !event.shiftKey)),
    }, fill);
  });
  return make("div", {role: "group", "aria-label": name, className: "histogram"},
    make("span", {className: "name"}, `${name}${UNITS[name] ? `, ${UNITS[name]}` : ""}; ${total.toLocaleString("en")} rows`),
    make("div", {className: "bars"}, ...bars),
    make("div", {className: "ends muted"}, make("span", {}, short(low)), make("span", {}, short(high))));
}

const short = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2).replace(/\.?0+$/, "").replace(/^-0$/, "0"));
const hull = (one, other) => [Math.min(one[0], other[0]), Math.max(one[1], other[1]), one[2] || other[2]];

function toggle(where, name, value, off) {
  if (off) delete where[name];
  else where[name] = value;
}

// --- the page

async function change(how) {
  query.id = "";
  how();
  query.start = 0;
  await show();
}

/** Ask and show; `more` appends. An answer that was overtaken by a later question is let go. */
async function show(more = false) {
  const turn = ++asked;
  let found;
  place.list.setAttribute("aria-busy", "true");
  try {
    found = await answer(query);
  } catch (error) {
    place.count.textContent = `The rows could not be read: ${error.message}`;
    return;
  }
  if (turn !== asked) return;
  place.list.setAttribute("aria-busy", "false");
  shownPictures = found.pictures;
  const key = document.activeElement && document.activeElement.dataset.key;
  const articles = found.entries.map(article);
  if (more) place.list.append(...articles);
  else place.list.replaceChildren(...articles);
  showFacets(found.facets);
  place.histograms.replaceChildren(...found.histograms.filter(([name, low, high, counts]) =>
    high > low && (name in query.ranges || counts.some(Boolean))).map(histogram));
  if (place.sort.options.length === 1) place.sort.append(...found.histograms.flatMap(([name]) => [
    make("option", {value: `-${name}`}, `${name}, largest first`), make("option", {value: name}, `${name}, smallest first`)]));
  if (document.activeElement !== place.words) place.words.value = query.words;
  place.sort.value = query.sort;
  place.more.hidden = place.list.children.length >= found.total;
  place.reset.hidden = found.total === found.all && !query.id;
  place.count.textContent = query.id ? `One row of ${found.all.toLocaleString("en")}` :
    `${found.total.toLocaleString("en")} of ${found.all.toLocaleString("en")} rows`;
  if (key) [...document.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key)?.focus();
}

function showFacets(facets) {
  place.facets.replaceChildren(...facets.filter(([name, values]) => values.length > 1 || name in query.facets).map(facet));
}

/** Bring a row to the eye and its address to the address bar; a row that is not in the list is asked for. */
async function open(id) {
  if (!document.getElementById(`row-${id}`)) {
    query = {...fresh(), id};
    await show();
  }
  const found = document.getElementById(`row-${id}`);
  if (!found) {
    place.count.textContent = `There is no row ${id} here: sena show ${data.run} --id ${id}`;
    return;
  }
  for (const each of document.querySelectorAll("article.here")) each.classList.remove("here");
  found.classList.add("here");
  found.focus({preventScroll: true});
  found.scrollIntoView({block: "start"});
  history.replaceState(null, "", `#row-${id}`);
}

async function step(by) {
  const shown = [...place.list.children];
  const here = shown.indexOf(document.querySelector("article.here")) + by;
  if (here >= shown.length && !place.more.hidden) await next();
  const target = place.list.children[Math.max(0, here)];
  if (target) await open(target.id.replace(/^row-/, ""));
}

async function next() {
  query.start = place.list.children.length;
  await show(true);
}

async function setFlag(entry, button) {
  const flagged = button.getAttribute("aria-pressed") !== "true";
  const reply = await fetch("flag", {method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({id: entry.id, flagged})});
  if (reply.ok) {
    button.setAttribute("aria-pressed", String(flagged));
    showFacets((await answer({...query, start: 0, count: 0})).facets);
  } else place.count.textContent = `The flag could not be set: ${await reply.text()}`;
}

/** While a run goes on: what is new is shown at once to whoever stands at the top, and offered to whoever reads on. */
async function watch() {
  const reply = await fetch("state").catch(() => null);
  if (!reply || !reply.ok || (await reply.text()) === data.state) return;
  if (scrollY < innerHeight / 2 && !query.words && !document.activeElement.closest("main")) location.reload();
  else place.news.hidden = false;
}

const fromHash = () => (location.hash.startsWith("#row-") ? decodeURIComponent(location.hash.slice(5)) : "");

let typed;
place.words.addEventListener("input", () => {
  clearTimeout(typed);  // a server reads all texts for a search: not for every letter
  typed = setTimeout(() => change(() => { query.words = place.words.value; }), data.remote ? 400 : 0);
});
place.sort.addEventListener("change", () => change(() => { query.sort = place.sort.value; }));
place.reset.addEventListener("click", () => change(() => { query = fresh(); }));
place.more.addEventListener("click", next);
addEventListener("hashchange", () => { if (fromHash()) open(fromHash()); });
addEventListener("keydown", (event) => {
  if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {j: () => step(1), n: () => step(1), k: () => step(-1), p: () => step(-1), "/": () => place.words.focus()};
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
for (const link of document.querySelectorAll("a[data-reason]")) {
  link.addEventListener("click", () => change(() => {
    const {round, stage, reason} = link.dataset;
    query = {...fresh(), facets: {kept: "dropped", round, "dropped by": stage, reason}};
  }));
}
if (data.remote) setInterval(watch, 3000);
show().then(() => { if (fromHash()) open(fromHash()); });
