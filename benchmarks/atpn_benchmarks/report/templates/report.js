"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const name = () => { button.textContent = dark() ? "Light" : "Dark"; };
  // A browser may forbid storage to files; the page then forgets the choice.
  try { root.dataset.theme = localStorage.getItem("atpn-theme") || ""; } catch { /* as the system */ }
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("atpn-theme", root.dataset.theme); } catch { /* see above */ }
    name();
  });
  system.addEventListener("change", name);
  button.hidden = false;
  name();

  // What does not exist stays at the end, whichever way the rest is sorted.
  const order = (numeric, way) => (a, b) => {
    if (!numeric) return way * a.key.localeCompare(b.key) || a.place - b.place;
    const [x, y] = [parseFloat(a.key), parseFloat(b.key)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y) || a.place - b.place;
    return way * (x - y) || a.place - b.place;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const first = [...body.rows];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
        const rows = first.map((row, place) => ({ row, place, key: row.cells[column].dataset.sort }));
        rows.sort(order(head.classList.contains("n"), way));
        body.append(...rows.map((each) => each.row));
      });
    });
  }

  const tip = document.getElementById("tip");
  const show = (mark) => {
    tip.textContent = mark.dataset.tip;
    tip.style.display = "block";
    const at = mark.getBoundingClientRect();
    const left = at.left + at.width / 2 - tip.offsetWidth / 2;
    const above = at.top - tip.offsetHeight - 8;
    tip.style.left = `${scrollX + Math.max(6, Math.min(left, root.clientWidth - tip.offsetWidth - 6))}px`;
    tip.style.top = `${scrollY + (above > 56 ? above : at.bottom + 8)}px`;
  };
  const marked = (event) => event.target instanceof Element && event.target.closest("[data-tip]");
  for (const kind of ["mouseover", "focusin", "click"]) {
    document.addEventListener(kind, (event) => {
      const mark = marked(event);
      if (mark) show(mark); else tip.style.display = "none";
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") tip.style.display = "none";
  });
})();
