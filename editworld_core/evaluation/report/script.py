"""The page's own script: it shows, sorts and filters the items. Texts of the data only ever become text nodes."""

SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const AT_ONCE = 40;
const pick = id => document.getElementById(id);
const [order, end, category, setup, words, list, count, more] =
  ["order", "end", "category", "setup", "words", "cases", "count", "more"].map(pick);
const columns = [["original", "Original"], ["edited", "Edited"], ["final", "Post-edited"], ["mask", "Mask"],
  ["truth", "Truth"]];
let found = [], shown = 0;

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function digits(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function choose() {
  const asked = words.value.trim().toLowerCase();
  found = data.cases.filter(one => {
    const item = data.items[one.item];
    return (!category.value || `${item.branch}\\n${item.category}` === category.value)
      && (!setup.value || data.setups[one.setup] === setup.value)
      && (!asked || `${item.id} ${item.instruction} ${item.dynamic}`.toLowerCase().includes(asked));
  });
  const column = Number(order.value);
  if (column >= 0) {
    const sign = (data.values[column].better === "low" ? -1 : 1) * (end.value === "worst" ? 1 : -1);
    found.sort((a, b) => {
      const [x, y] = [a.values[column], b.values[column]];
      const empty = (x === null) - (y === null);
      return empty || sign * (x - y);
    });
  }
  list.replaceChildren();
  shown = 0;
  grow();
}

function grow() {
  const next = found.slice(shown, shown + AT_ONCE);
  list.append(...next.map(draw));
  shown += next.length;
  more.hidden = shown >= found.length;
  count.textContent = found.length
    ? `${shown.toLocaleString("en")} of ${found.length.toLocaleString("en")} shown`
    : "Nothing fits.";
}

function draw(one) {
  const item = data.items[one.item], card = make("article", "case");
  const where = make("p", "where");
  const column = Number(order.value);
  if (column >= 0 && !one.failure) {
    where.append(make("b", "", `${data.values[column].title} ${digits(one.values[column])}`), " · ");
  }
  where.append([data.setups[one.setup], item.category, item.dynamic.replaceAll("_", " "), item.id]
    .filter(Boolean).join(" · "));
  card.append(make("h3", "", item.instruction ? `“${item.instruction}”` : "(no instruction)"), where);
  card.append(strip(one));
  if (one.failure) card.append(make("p", "said", `Refused: ${one.failure}`));
  else card.append(details(item, one));
  return card;
}

function strip(one) {
  const row = make("div", "strip");
  for (const [name, title] of columns) {
    const figure = make("figure"), file = one.pictures[name];
    if (file) {
      const image = make("img");
      image.loading = "lazy";
      image.decoding = "async";
      [image.width, image.height] = one.size;
      image.alt = title;
      image.src = data.folder + "/" + file;
      figure.append(image);
    } else {
      const gap = make("div", "gap", "none");
      gap.style.aspectRatio = one.size.join(" / ");
      figure.append(gap);
    }
    figure.append(make("figcaption", "", title));
    row.append(figure);
  }
  return row;
}

function details(item, one) {
  const box = make("details");
  box.append(make("summary", "", one.said.length ? "All scores, and what the judge says" : "All scores"));
  box.addEventListener("toggle", () => {
    if (!box.open || box.childElementCount > 1) return;
    if (item.after) box.append(make("p", "said", `Expected: ${item.after}`));
    const numbers = make("ul", "numbers");
    data.values.forEach((value, place) => {
      if (one.values[place] === null) return;
      const line = make("li");
      line.append(make("span", "", value.title), make("span", "", digits(one.values[place]) + value.unit));
      numbers.append(line);
    });
    box.append(numbers, ...one.said.map(text => make("p", "said", text)));
  });
  return box;
}

let timer = 0;
words.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(choose, 150); });
for (const control of [order, end, category, setup]) control.addEventListener("change", choose);
more.addEventListener("click", grow);
choose();
"""
