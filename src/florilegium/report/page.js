"use strict";
// Sections: a link opens what its end stands in, and the contents tell where one is.

function reveal(hash) {
  const end = document.getElementById(decodeURIComponent(hash.slice(1)));
  for (let part = end; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  if (end) end.scrollIntoView();
}
const links = [...document.querySelectorAll("nav a")];
addEventListener("hashchange", () => reveal(location.hash));
document.addEventListener("click", event => {
  const link = event.target.closest('a[href^="#"]');
  if (link) reveal(link.hash);
});
if (location.hash) reveal(location.hash);
const here = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) {
    const link = links.find(of => of.hash === "#" + target.id);
    if (link && isIntersecting) for (const of of links) of.ariaCurrent = of === link ? "true" : null;
  }
}, { rootMargin: "-15% 0px -80% 0px" });
for (const part of document.querySelectorAll("main > [id]")) here.observe(part);

// Figures: loaded when they come into sight or onto paper, and opened large.

const seen = new IntersectionObserver(entries => {
  for (const { target, isIntersecting } of entries) if (isIntersecting) load(target);
}, { rootMargin: "50%" });
function load(image) {
  seen.unobserve(image);
  image.src = image.dataset.src;
  delete image.dataset.src;
}
for (const image of document.querySelectorAll("img[data-src]")) seen.observe(image);
addEventListener("beforeprint", () => {
  for (const image of document.querySelectorAll("img[data-src]")) if (image.checkVisibility()) load(image);
});
const dialog = document.querySelector("dialog");
const large = dialog.querySelector("img");
for (const button of document.querySelectorAll("button.figure")) button.addEventListener("click", () => {
  const image = button.querySelector("img");
  if (image.dataset.src) load(image);
  [large.src, large.alt] = [image.src, image.alt];
  dialog.showModal();
});
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });

// Tables: sorted by the heads of their columns, filtered by words.

const UNITS = { k: 1e3, M: 1e6, G: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const NUMBER = /^(?:<\s*)?([+-]?\d[\d,]*(?:\.\d+)?)\s*(?:(k|M|G|KiB|MiB|GiB)(?![A-Za-z]))?/;
const words = new Intl.Collator(document.documentElement.lang, { numeric: true });

function valueOf(row, column) {
  const text = row.cells[column].textContent.trim().replaceAll("−", "-");
  const found = NUMBER.exec(text);
  return { text, number: found ? Number(found[1].replaceAll(",", "")) * (UNITS[found[2]] ?? 1) : NaN };
}
// Numbers, then words; cells that say nothing stand last in either direction.
function compare(a, b, sign) {
  const [emptyA, emptyB] = [a, b].map(({ text }) => text === "" || text === "–");
  if (emptyA || emptyB) return emptyA - emptyB;
  const [wordA, wordB] = [a, b].map(({ number }) => Number.isNaN(number));
  if (wordA !== wordB) return sign * (wordA - wordB);
  return sign * ((wordA ? 0 : a.number - b.number) || words.compare(a.text, b.text));
}
for (const table of document.querySelectorAll("main table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.ariaSort === "ascending" ? -1 : 1;
      for (const of of heads) of.removeAttribute("aria-sort");
      head.ariaSort = sign > 0 ? "ascending" : "descending";
      const rows = [...table.tBodies[0].rows].map(row => ({ row, value: valueOf(row, column) }));
      rows.sort((a, b) => compare(a.value, b.value, sign));
      table.tBodies[0].append(...rows.map(({ row }) => row));
    });
  });
}
for (const scope of document.querySelectorAll("[data-filter]")) {
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  input.type = "search";
  label.className = "filter";
  label.append("Filter ", input, " ", count);
  scope.querySelector("h3, .scroll").before(label);
  const rows = [...scope.querySelectorAll("tbody tr")];
  input.addEventListener("input", () => {
    const wanted = input.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !wanted.every(word => row.textContent.toLowerCase().includes(word));
    const left = rows.filter(row => !row.hidden).length;
    count.value = left < rows.length ? `${left} of ${rows.length} rows` : "";
  });
}
