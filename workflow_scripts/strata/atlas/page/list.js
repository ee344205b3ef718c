// A list of which only the rows in sight exist: a hundred thousand neurons stay smooth.
"use strict";

strata.list = ({ name, rowHeight, draw, open }) => {
  const { element } = strata;
  const inner = element("div", { className: "rows", role: "presentation" });
  const box = element("div", {
    className: "list",
    role: "listbox",
    tabIndex: 0,
    "aria-label": name,
  }, inner);
  let rows = [];
  let active = -1;
  let first = -1;
  let last = -1;
  const id = `list${strata.list.count++}`;

  function paint(force) {
    const from = Math.max(0, Math.floor(box.scrollTop / rowHeight) - 4);
    const to = Math.min(rows.length, Math.ceil((box.scrollTop + box.clientHeight) / rowHeight) + 4);
    if (!force && from === first && to === last) return;
    [first, last] = [from, to];
    inner.replaceChildren(...rows.slice(from, to).map((row, i) => {
      const at = from + i;
      const made = draw(row);
      made.id = `${id}-${at}`;
      made.setAttribute("role", "option");
      made.setAttribute("aria-setsize", rows.length);
      made.setAttribute("aria-posinset", at + 1);
      made.setAttribute("aria-selected", at === active);
      made.style.top = `${at * rowHeight}px`;
      made.style.height = `${rowHeight}px`;
      made.onclick = () => { activate(at); open(row); };
      return made;
    }));
    if (active >= from && active < to) box.setAttribute("aria-activedescendant", `${id}-${active}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function activate(at) {
    active = Math.max(0, Math.min(rows.length - 1, at));
    const top = active * rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    if (top + rowHeight > box.scrollTop + box.clientHeight) {
      box.scrollTop = top + rowHeight - box.clientHeight;
    }
    paint(true);
  }

  box.onscroll = () => paint(false);
  box.onkeydown = (event) => {
    const page = Math.max(1, Math.floor(box.clientHeight / rowHeight) - 1);
    const moves = {
      ArrowDown: active + 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page,
      Home: 0, End: rows.length - 1,
    };
    if (event.key in moves && rows.length) activate(moves[event.key]);
    else if (event.key === "Enter" && active >= 0) open(rows[active]);
    else return;
    event.preventDefault();
  };
  new ResizeObserver(() => paint(true)).observe(box);

  return {
    box,
    set(found) {
      rows = found;
      active = -1;
      inner.style.height = `${rows.length * rowHeight}px`;
      box.scrollTop = 0;
      paint(true);
    },
  };
};
strata.list.count = 0;
